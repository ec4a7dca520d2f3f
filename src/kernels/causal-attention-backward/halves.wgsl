// As base.wgsl on matrix units, operands rounded to halves: heads of 64, sequences of whole tiles.
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
  dOut_at: u32,
  dQkv_at: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> qkv: array<vec4f>;
@group(0) @binding(2) var<storage, read> out: array<vec4f>;
@group(0) @binding(3) var<storage, read> softmax: array<f32>;
@group(0) @binding(4) var<storage, read> dOut: array<vec4f>;
@group(0) @binding(5) var<storage, read_write> dQkv: array<f32>;
@group(0) @binding(6) var<storage, read_write> between: array<f32>;

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
var<workgroup> products: array<f32, TILE * SCORES>;
var<workgroup> gradients: array<f16, TILE * WEIGHTS>;

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

/// The same of the gradients of results.
fn loadGradients(own: u32, to: u32, count: u32, start: u32, head: u32) {
  for (var i = own; i < count * (DIM / 8u); i += THREADS) {
    let row = start + i / (DIM / 8u);
    let at = params.dOut_at / 4u + (row * params.nHeads + head) * (DIM / 4u) + i % (DIM / 8u) * 2u;
    tile[(to + i / (DIM / 8u)) * LINE + i % (DIM / 8u)] = halvesOf(dOut[at], dOut[at + 1u]);
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
  let stats = (sequence + query + row) * params.nHeads + head;
  let largest = softmax[params.softmax_at + stats * 2u];
  let inverse = 1.0 / softmax[params.softmax_at + stats * 2u + 1u];
  var along = 0.0;
  for (var i = lane % 2u; i < DIM / 4u; i += 2u) {
    let at = stats * (DIM / 4u) + i;
    along += dot(dOut[params.dOut_at / 4u + at], out[params.out_at / 4u + at]);
  }
  along += subgroupShuffleXor(along, 1u);
  if (lane % 2u == 0u) {
    between[stats] = along;
  }
  loadHeads(own, 0u, TILE, sequence + query, head);
  workgroupBarrier();
  let q0 = subgroupMatrixLoad<Left, row_major>(&tile, (subgroup * 16u) * LINE + 0u, LINE);
  let q1 = subgroupMatrixLoad<Left, row_major>(&tile, (subgroup * 16u) * LINE + 2u, LINE);
  let q2 = subgroupMatrixLoad<Left, row_major>(&tile, (subgroup * 16u) * LINE + 4u, LINE);
  let q3 = subgroupMatrixLoad<Left, row_major>(&tile, (subgroup * 16u) * LINE + 6u, LINE);
  workgroupBarrier();
  loadGradients(own, 0u, TILE, sequence + query, head);
  workgroupBarrier();
  let g0 = subgroupMatrixLoad<Left, row_major>(&tile, (subgroup * 16u) * LINE + 0u, LINE);
  let g1 = subgroupMatrixLoad<Left, row_major>(&tile, (subgroup * 16u) * LINE + 2u, LINE);
  let g2 = subgroupMatrixLoad<Left, row_major>(&tile, (subgroup * 16u) * LINE + 4u, LINE);
  let g3 = subgroupMatrixLoad<Left, row_major>(&tile, (subgroup * 16u) * LINE + 6u, LINE);
  workgroupBarrier();
  var d0 = Sum();
  var d1 = Sum();
  var d2 = Sum();
  var d3 = Sum();
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
    var p0 = Sum();
    var p1 = Sum();
    p0 = subgroupMatrixMultiplyAccumulate(g0, subgroupMatrixLoad<Right, col_major>(&tile, (PART + 0u) * LINE + 0u, LINE), p0);
    p1 = subgroupMatrixMultiplyAccumulate(g0, subgroupMatrixLoad<Right, col_major>(&tile, (PART + 16u) * LINE + 0u, LINE), p1);
    p0 = subgroupMatrixMultiplyAccumulate(g1, subgroupMatrixLoad<Right, col_major>(&tile, (PART + 0u) * LINE + 2u, LINE), p0);
    p1 = subgroupMatrixMultiplyAccumulate(g1, subgroupMatrixLoad<Right, col_major>(&tile, (PART + 16u) * LINE + 2u, LINE), p1);
    p0 = subgroupMatrixMultiplyAccumulate(g2, subgroupMatrixLoad<Right, col_major>(&tile, (PART + 0u) * LINE + 4u, LINE), p0);
    p1 = subgroupMatrixMultiplyAccumulate(g2, subgroupMatrixLoad<Right, col_major>(&tile, (PART + 16u) * LINE + 4u, LINE), p1);
    p0 = subgroupMatrixMultiplyAccumulate(g3, subgroupMatrixLoad<Right, col_major>(&tile, (PART + 0u) * LINE + 6u, LINE), p0);
    p1 = subgroupMatrixMultiplyAccumulate(g3, subgroupMatrixLoad<Right, col_major>(&tile, (PART + 16u) * LINE + 6u, LINE), p1);
    subgroupMatrixStore<row_major>(&products, subgroup * 16u * SCORES + 0u, p0, SCORES);
    subgroupMatrixStore<row_major>(&products, subgroup * 16u * SCORES + 16u, p1, SCORES);
    workgroupBarrier();
    for (var i = 0u; i < 16u; i++) {
      let col = columnOf(lane, i);
      let p = exp(scores[row * SCORES + col] * params.scale - largest) * inverse;
      let gradient = p * (products[row * SCORES + col] - along) * params.scale;
      gradients[row * WEIGHTS + col] = f16(select(0.0, gradient, key + col <= query + row));
    }
    workgroupBarrier();
    let dw0 = subgroupMatrixLoad<Left, row_major>(&gradients, subgroup * 16u * WEIGHTS + 0u, WEIGHTS);
    let dw1 = subgroupMatrixLoad<Left, row_major>(&gradients, subgroup * 16u * WEIGHTS + 16u, WEIGHTS);
    d0 = subgroupMatrixMultiplyAccumulate(dw0, subgroupMatrixLoad<Right, row_major>(&tile, (0u + 0u) * LINE + 0u, LINE), d0);
    d1 = subgroupMatrixMultiplyAccumulate(dw0, subgroupMatrixLoad<Right, row_major>(&tile, (0u + 0u) * LINE + 2u, LINE), d1);
    d2 = subgroupMatrixMultiplyAccumulate(dw0, subgroupMatrixLoad<Right, row_major>(&tile, (0u + 0u) * LINE + 4u, LINE), d2);
    d3 = subgroupMatrixMultiplyAccumulate(dw0, subgroupMatrixLoad<Right, row_major>(&tile, (0u + 0u) * LINE + 6u, LINE), d3);
    d0 = subgroupMatrixMultiplyAccumulate(dw1, subgroupMatrixLoad<Right, row_major>(&tile, (0u + 16u) * LINE + 0u, LINE), d0);
    d1 = subgroupMatrixMultiplyAccumulate(dw1, subgroupMatrixLoad<Right, row_major>(&tile, (0u + 16u) * LINE + 2u, LINE), d1);
    d2 = subgroupMatrixMultiplyAccumulate(dw1, subgroupMatrixLoad<Right, row_major>(&tile, (0u + 16u) * LINE + 4u, LINE), d2);
    d3 = subgroupMatrixMultiplyAccumulate(dw1, subgroupMatrixLoad<Right, row_major>(&tile, (0u + 16u) * LINE + 6u, LINE), d3);
    workgroupBarrier();
  }
  let stride = (params.nHeads + 2u * params.nKvHeads) * DIM;
  let at = params.dQkv_at + (sequence + query + subgroup * 16u) * stride + head * DIM;
  subgroupMatrixStore<row_major>(&dQkv, at + 0u, d0, stride);
  subgroupMatrixStore<row_major>(&dQkv, at + 16u, d1, stride);
  subgroupMatrixStore<row_major>(&dQkv, at + 32u, d2, stride);
  subgroupMatrixStore<row_major>(&dQkv, at + 48u, d3, stride);
}
