// As base.wgsl on matrix units, operands rounded to halves: heads of 64, sequences of whole tiles. A matrix cannot be
// scaled by its rows, so that keys are gone through twice: for the softmax, and for the values.
enable f16;
enable subgroups;
enable chromium_experimental_subgroup_matrix;
diagnostic(off, chromium.subgroup_matrix_uniformity);
struct Params {
  rows: u32,
  length: u32,
  nHeads: u32,
  nKvHeads: u32,
  headDim: u32,
  halves: u32,
  scale: f32,
  qkv_at: u32,
  out_at: u32,
  softmax_at: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> qkv: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;
@group(0) @binding(3) var<storage, read_write> softmax: array<f32>;

const THREADS = 128u;
const TILE = 64u;
const DIM = 64u;
/// Rows of the other side that are read at a time.
const PART = 32u;
/// Vectors of 8 halves from a row to the next: one more than a row has, so that rows lie in other banks.
const LINE = DIM / 8u + 1u;
/// From a row of scores to the next, in floats; of weights, in halves.
const SCORES = PART + 4u;
const WEIGHTS = PART + 8u;
var<workgroup> tile: array<vec4u, TILE * LINE>;
var<workgroup> scores: array<f32, TILE * SCORES>;
var<workgroup> weights: array<f16, TILE * WEIGHTS>;

alias Left = subgroup_matrix_left<f16, 16, 16>;
alias Right = subgroup_matrix_right<f16, 16, 16>;
alias Sum = subgroup_matrix_result<f32, 16, 16>;

fn halvesOf(low: vec4f, high: vec4f) -> vec4u {
  let most = vec4f(65504.0);
  let first = clamp(low, -most, most);
  let second = clamp(high, -most, most);
  return vec4u(
    pack2x16float(first.xy),
    pack2x16float(first.zw),
    pack2x16float(second.xy),
    pack2x16float(second.zw),
  );
}

/// Puts rows of a head of queries, keys or values into the tile.
fn loadHeads(own: u32, to: u32, count: u32, start: u32, head: u32) {
  for (var i = own; i < count * (DIM / 8u); i += THREADS) {
    let row = start + i / (DIM / 8u);
    let at = params.qkv_at / 4u + (row * (params.nHeads + 2u * params.nKvHeads) + head) * (DIM / 4u) + i % (DIM / 8u) * 2u;
    tile[(to + i / (DIM / 8u)) * LINE + i % (DIM / 8u)] = halvesOf(qkv[at], qkv[at + 1u]);
  }
}

/// The i-th of 16 columns of an invocation's half of a row: no two of a subgroup in one bank.
fn columnOf(lane: u32, i: u32) -> u32 {
  return lane % 2u * 16u + (i + lane / 8u) % 16u;
}

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) own: u32) {
  let blocks = params.length / TILE;
  let head = group.x;
  let sharedHead = params.nHeads + head / (params.nHeads / params.nKvHeads);
  let sequence = group.y / blocks * params.length;
  // The longest first.
  let query = (blocks - 1u - group.y % blocks) * TILE;
  let subgroup = own / 32u;
  let lane = own % 32u;
  let row = subgroup * 16u + lane / 2u;
  loadHeads(own, 0u, TILE, sequence + query, head);
  workgroupBarrier();
  let q0 = subgroupMatrixLoad<Left, row_major>(&tile, (subgroup * 16u) * LINE + 0u, LINE);
  let q1 = subgroupMatrixLoad<Left, row_major>(&tile, (subgroup * 16u) * LINE + 2u, LINE);
  let q2 = subgroupMatrixLoad<Left, row_major>(&tile, (subgroup * 16u) * LINE + 4u, LINE);
  let q3 = subgroupMatrixLoad<Left, row_major>(&tile, (subgroup * 16u) * LINE + 6u, LINE);
  workgroupBarrier();
  var largest = -3.0e38;
  var total = 0.0;
  for (var key = 0u; key < query + TILE; key += PART) {
    loadHeads(own, 0u, PART, sequence + key, sharedHead);
    workgroupBarrier();
    var s0 = Sum();
    var s1 = Sum();
    s0 = subgroupMatrixMultiplyAccumulate(q0, subgroupMatrixLoad<Right, col_major>(&tile, (0u + 0u) * LINE + 0u, LINE), s0);
    s1 = subgroupMatrixMultiplyAccumulate(q0, subgroupMatrixLoad<Right, col_major>(&tile, (0u + 16u) * LINE + 0u, LINE), s1);
    s0 = subgroupMatrixMultiplyAccumulate(q1, subgroupMatrixLoad<Right, col_major>(&tile, (0u + 0u) * LINE + 2u, LINE), s0);
    s1 = subgroupMatrixMultiplyAccumulate(q1, subgroupMatrixLoad<Right, col_major>(&tile, (0u + 16u) * LINE + 2u, LINE), s1);
    s0 = subgroupMatrixMultiplyAccumulate(q2, subgroupMatrixLoad<Right, col_major>(&tile, (0u + 0u) * LINE + 4u, LINE), s0);
    s1 = subgroupMatrixMultiplyAccumulate(q2, subgroupMatrixLoad<Right, col_major>(&tile, (0u + 16u) * LINE + 4u, LINE), s1);
    s0 = subgroupMatrixMultiplyAccumulate(q3, subgroupMatrixLoad<Right, col_major>(&tile, (0u + 0u) * LINE + 6u, LINE), s0);
    s1 = subgroupMatrixMultiplyAccumulate(q3, subgroupMatrixLoad<Right, col_major>(&tile, (0u + 16u) * LINE + 6u, LINE), s1);
    subgroupMatrixStore<row_major>(&scores, subgroup * 16u * SCORES + 0u, s0, SCORES);
    subgroupMatrixStore<row_major>(&scores, subgroup * 16u * SCORES + 16u, s1, SCORES);
    workgroupBarrier();
    var values: array<f32, 16>;
    let before = largest;
    for (var i = 0u; i < 16u; i++) {
      let col = columnOf(lane, i);
      let score = scores[row * SCORES + col] * params.scale;
      values[i] = select(-3.0e38, score, key + col <= query + row);
      largest = max(largest, values[i]);
    }
    total *= exp(before - largest);
    for (var i = 0u; i < 16u; i++) {
      total += exp(values[i] - largest);
    }
    workgroupBarrier();
  }
  let other = subgroupShuffleXor(largest, 1u);
  let most = max(largest, other);
  total *= exp(largest - most);
  total += subgroupShuffleXor(total, 1u);
  if (lane % 2u == 0u) {
    let at = params.softmax_at + ((sequence + query + row) * params.nHeads + head) * 2u;
    softmax[at] = most;
    softmax[at + 1u] = total;
  }
  let inverse = 1.0 / total;
  var o0 = Sum();
  var o1 = Sum();
  var o2 = Sum();
  var o3 = Sum();
  for (var key = 0u; key < query + TILE; key += PART) {
    loadHeads(own, 0u, PART, sequence + key, sharedHead);
    loadHeads(own, PART, PART, sequence + key, sharedHead + params.nKvHeads);
    workgroupBarrier();
    var s0 = Sum();
    var s1 = Sum();
    s0 = subgroupMatrixMultiplyAccumulate(q0, subgroupMatrixLoad<Right, col_major>(&tile, (0u + 0u) * LINE + 0u, LINE), s0);
    s1 = subgroupMatrixMultiplyAccumulate(q0, subgroupMatrixLoad<Right, col_major>(&tile, (0u + 16u) * LINE + 0u, LINE), s1);
    s0 = subgroupMatrixMultiplyAccumulate(q1, subgroupMatrixLoad<Right, col_major>(&tile, (0u + 0u) * LINE + 2u, LINE), s0);
    s1 = subgroupMatrixMultiplyAccumulate(q1, subgroupMatrixLoad<Right, col_major>(&tile, (0u + 16u) * LINE + 2u, LINE), s1);
    s0 = subgroupMatrixMultiplyAccumulate(q2, subgroupMatrixLoad<Right, col_major>(&tile, (0u + 0u) * LINE + 4u, LINE), s0);
    s1 = subgroupMatrixMultiplyAccumulate(q2, subgroupMatrixLoad<Right, col_major>(&tile, (0u + 16u) * LINE + 4u, LINE), s1);
    s0 = subgroupMatrixMultiplyAccumulate(q3, subgroupMatrixLoad<Right, col_major>(&tile, (0u + 0u) * LINE + 6u, LINE), s0);
    s1 = subgroupMatrixMultiplyAccumulate(q3, subgroupMatrixLoad<Right, col_major>(&tile, (0u + 16u) * LINE + 6u, LINE), s1);
    subgroupMatrixStore<row_major>(&scores, subgroup * 16u * SCORES + 0u, s0, SCORES);
    subgroupMatrixStore<row_major>(&scores, subgroup * 16u * SCORES + 16u, s1, SCORES);
    workgroupBarrier();
    for (var i = 0u; i < 16u; i++) {
      let col = columnOf(lane, i);
      let p = exp(scores[row * SCORES + col] * params.scale - most) * inverse;
      weights[row * WEIGHTS + col] = f16(select(0.0, p, key + col <= query + row));
    }
    workgroupBarrier();
    let ow0 = subgroupMatrixLoad<Left, row_major>(&weights, subgroup * 16u * WEIGHTS + 0u, WEIGHTS);
    let ow1 = subgroupMatrixLoad<Left, row_major>(&weights, subgroup * 16u * WEIGHTS + 16u, WEIGHTS);
    o0 = subgroupMatrixMultiplyAccumulate(ow0, subgroupMatrixLoad<Right, row_major>(&tile, (PART + 0u) * LINE + 0u, LINE), o0);
    o1 = subgroupMatrixMultiplyAccumulate(ow0, subgroupMatrixLoad<Right, row_major>(&tile, (PART + 0u) * LINE + 2u, LINE), o1);
    o2 = subgroupMatrixMultiplyAccumulate(ow0, subgroupMatrixLoad<Right, row_major>(&tile, (PART + 0u) * LINE + 4u, LINE), o2);
    o3 = subgroupMatrixMultiplyAccumulate(ow0, subgroupMatrixLoad<Right, row_major>(&tile, (PART + 0u) * LINE + 6u, LINE), o3);
    o0 = subgroupMatrixMultiplyAccumulate(ow1, subgroupMatrixLoad<Right, row_major>(&tile, (PART + 16u) * LINE + 0u, LINE), o0);
    o1 = subgroupMatrixMultiplyAccumulate(ow1, subgroupMatrixLoad<Right, row_major>(&tile, (PART + 16u) * LINE + 2u, LINE), o1);
    o2 = subgroupMatrixMultiplyAccumulate(ow1, subgroupMatrixLoad<Right, row_major>(&tile, (PART + 16u) * LINE + 4u, LINE), o2);
    o3 = subgroupMatrixMultiplyAccumulate(ow1, subgroupMatrixLoad<Right, row_major>(&tile, (PART + 16u) * LINE + 6u, LINE), o3);
    workgroupBarrier();
  }
  let at = params.out_at + ((sequence + query + subgroup * 16u) * params.nHeads + head) * DIM;
  subgroupMatrixStore<row_major>(&out, at + 0u, o0, params.nHeads * DIM);
  subgroupMatrixStore<row_major>(&out, at + 16u, o1, params.nHeads * DIM);
  subgroupMatrixStore<row_major>(&out, at + 32u, o2, params.nHeads * DIM);
  subgroupMatrixStore<row_major>(&out, at + 48u, o3, params.nHeads * DIM);
}
