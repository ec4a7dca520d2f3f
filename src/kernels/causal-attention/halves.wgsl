// As base.wgsl on matrix units, operands rounded to halves and in fragments of 16 x 16 (round-halves.wgsl): heads of
// 64, sequences of whole tiles. A matrix cannot be scaled by its rows, so that keys are gone through twice: for the
// softmax, and for the values.
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
@group(0) @binding(1) var<storage, read> qkv: array<vec4u>;
@group(0) @binding(2) var<storage, read_write> out: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> softmax: array<f32>;

const SUBGROUPS = 1u;
const THREADS = SUBGROUPS * 32u;
const TILE = SUBGROUPS * 16u;
const DIM = 64u;
/// Rows of the other side that are multiplied at a time.
const PART = 32u;
/// From a row of scores to the next, in vectors of 4; from one of weights, in vectors of 4 halves: rows lie in other
/// banks.
const SCORES = PART / 4u + 2u;
const WEIGHTS = PART / 4u + 2u;
/// The same of results, in vectors of 4.
const RESULTS = DIM / 4u + 2u;
const LOG2E = 1.4426950408889634;
/// Scores, and in the end results, whose rows are longer.
var<workgroup> scores: array<vec4f, TILE * RESULTS>;
var<workgroup> weights: array<vec2u, TILE * WEIGHTS>;

alias Left = subgroup_matrix_left<f16, 16, 16>;
alias Right = subgroup_matrix_right<f16, 16, 16>;
alias Sum = subgroup_matrix_result<f32, 16, 16>;

/// Where the fragments of a head begin for 16 rows: four, of 16 dimensions each, in vectors of 8 halves.
fn fragmentsOf(rows: u32, head: u32) -> u32 {
  return (rows / 16u * (params.nHeads + 2u * params.nKvHeads) + head) * 128u;
}

/// Which of four columns from `col` on a row must not see, that has `limit` for its last.
fn isHidden(col: u32, limit: i32) -> vec4<bool> {
  return vec4i(i32(col)) + vec4i(0, 1, 2, 3) > vec4i(limit);
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
  let queries = fragmentsOf(sequence + query + subgroup * 16u, head);
  let q0 = subgroupMatrixLoad<Left, row_major>(&qkv, queries + 0u, 2u);
  let q1 = subgroupMatrixLoad<Left, row_major>(&qkv, queries + 32u, 2u);
  let q2 = subgroupMatrixLoad<Left, row_major>(&qkv, queries + 64u, 2u);
  let q3 = subgroupMatrixLoad<Left, row_major>(&qkv, queries + 96u, 2u);
  let next = (params.nHeads + 2u * params.nKvHeads) * 128u;
  let scale = params.scale * LOG2E;
  var most = vec4f(-3.0e38);
  for (var key = 0u; key < query + TILE; key += PART) {
    let keys = fragmentsOf(sequence + key, sharedHead);
    var s0 = Sum();
    var s1 = Sum();
    s0 = subgroupMatrixMultiplyAccumulate(q0, subgroupMatrixLoad<Right, col_major>(&qkv, keys + 0u * next + 0u, 2u), s0);
    s1 = subgroupMatrixMultiplyAccumulate(q0, subgroupMatrixLoad<Right, col_major>(&qkv, keys + 1u * next + 0u, 2u), s1);
    s0 = subgroupMatrixMultiplyAccumulate(q1, subgroupMatrixLoad<Right, col_major>(&qkv, keys + 0u * next + 32u, 2u), s0);
    s1 = subgroupMatrixMultiplyAccumulate(q1, subgroupMatrixLoad<Right, col_major>(&qkv, keys + 1u * next + 32u, 2u), s1);
    s0 = subgroupMatrixMultiplyAccumulate(q2, subgroupMatrixLoad<Right, col_major>(&qkv, keys + 0u * next + 64u, 2u), s0);
    s1 = subgroupMatrixMultiplyAccumulate(q2, subgroupMatrixLoad<Right, col_major>(&qkv, keys + 1u * next + 64u, 2u), s1);
    s0 = subgroupMatrixMultiplyAccumulate(q3, subgroupMatrixLoad<Right, col_major>(&qkv, keys + 0u * next + 96u, 2u), s0);
    s1 = subgroupMatrixMultiplyAccumulate(q3, subgroupMatrixLoad<Right, col_major>(&qkv, keys + 1u * next + 96u, 2u), s1);
    subgroupMatrixStore<row_major>(&scores, subgroup * 16u * SCORES + 0u, s0, SCORES);
    subgroupMatrixStore<row_major>(&scores, subgroup * 16u * SCORES + 4u, s1, SCORES);
    workgroupBarrier();
    let limit = i32(query + row) - i32(key);
    for (var i = 0u; i < PART / 8u; i++) {
      let col = i * 2u + lane % 2u;
      most = max(most, select(scores[row * SCORES + col], vec4f(-3.0e38), isHidden(col * 4u, limit)));
    }
    workgroupBarrier();
  }
  var largest = max(max(most.x, most.y), max(most.z, most.w)) * scale;
  largest = max(largest, subgroupShuffleXor(largest, 1u));
  var sums = vec4f();
  var o0 = Sum();
  var o1 = Sum();
  var o2 = Sum();
  var o3 = Sum();
  for (var key = 0u; key < query + TILE; key += PART) {
    let keys = fragmentsOf(sequence + key, sharedHead);
    var s0 = Sum();
    var s1 = Sum();
    s0 = subgroupMatrixMultiplyAccumulate(q0, subgroupMatrixLoad<Right, col_major>(&qkv, keys + 0u * next + 0u, 2u), s0);
    s1 = subgroupMatrixMultiplyAccumulate(q0, subgroupMatrixLoad<Right, col_major>(&qkv, keys + 1u * next + 0u, 2u), s1);
    s0 = subgroupMatrixMultiplyAccumulate(q1, subgroupMatrixLoad<Right, col_major>(&qkv, keys + 0u * next + 32u, 2u), s0);
    s1 = subgroupMatrixMultiplyAccumulate(q1, subgroupMatrixLoad<Right, col_major>(&qkv, keys + 1u * next + 32u, 2u), s1);
    s0 = subgroupMatrixMultiplyAccumulate(q2, subgroupMatrixLoad<Right, col_major>(&qkv, keys + 0u * next + 64u, 2u), s0);
    s1 = subgroupMatrixMultiplyAccumulate(q2, subgroupMatrixLoad<Right, col_major>(&qkv, keys + 1u * next + 64u, 2u), s1);
    s0 = subgroupMatrixMultiplyAccumulate(q3, subgroupMatrixLoad<Right, col_major>(&qkv, keys + 0u * next + 96u, 2u), s0);
    s1 = subgroupMatrixMultiplyAccumulate(q3, subgroupMatrixLoad<Right, col_major>(&qkv, keys + 1u * next + 96u, 2u), s1);
    subgroupMatrixStore<row_major>(&scores, subgroup * 16u * SCORES + 0u, s0, SCORES);
    subgroupMatrixStore<row_major>(&scores, subgroup * 16u * SCORES + 4u, s1, SCORES);
    workgroupBarrier();
    let limit = i32(query + row) - i32(key);
    for (var i = 0u; i < PART / 8u; i++) {
      let col = i * 2u + lane % 2u;
      let p = select(exp2(scores[row * SCORES + col] * scale - largest), vec4f(), isHidden(col * 4u, limit));
      sums += p;
      weights[row * WEIGHTS + col] = vec2u(pack2x16float(p.xy), pack2x16float(p.zw));
    }
    workgroupBarrier();
    let values = fragmentsOf(sequence + key, sharedHead + params.nKvHeads);
    let w0 = subgroupMatrixLoad<Left, row_major>(&weights, subgroup * 16u * WEIGHTS + 0u, WEIGHTS);
    let w1 = subgroupMatrixLoad<Left, row_major>(&weights, subgroup * 16u * WEIGHTS + 4u, WEIGHTS);
    o0 = subgroupMatrixMultiplyAccumulate(w0, subgroupMatrixLoad<Right, row_major>(&qkv, values + 0u * next + 0u, 2u), o0);
    o1 = subgroupMatrixMultiplyAccumulate(w0, subgroupMatrixLoad<Right, row_major>(&qkv, values + 0u * next + 32u, 2u), o1);
    o2 = subgroupMatrixMultiplyAccumulate(w0, subgroupMatrixLoad<Right, row_major>(&qkv, values + 0u * next + 64u, 2u), o2);
    o3 = subgroupMatrixMultiplyAccumulate(w0, subgroupMatrixLoad<Right, row_major>(&qkv, values + 0u * next + 96u, 2u), o3);
    o0 = subgroupMatrixMultiplyAccumulate(w1, subgroupMatrixLoad<Right, row_major>(&qkv, values + 1u * next + 0u, 2u), o0);
    o1 = subgroupMatrixMultiplyAccumulate(w1, subgroupMatrixLoad<Right, row_major>(&qkv, values + 1u * next + 32u, 2u), o1);
    o2 = subgroupMatrixMultiplyAccumulate(w1, subgroupMatrixLoad<Right, row_major>(&qkv, values + 1u * next + 64u, 2u), o2);
    o3 = subgroupMatrixMultiplyAccumulate(w1, subgroupMatrixLoad<Right, row_major>(&qkv, values + 1u * next + 96u, 2u), o3);
  }
  var total = (sums.x + sums.y) + (sums.z + sums.w);
  total += subgroupShuffleXor(total, 1u);
  let stats = (sequence + query + row) * params.nHeads + head;
  if (lane % 2u == 0u) {
    softmax[params.softmax_at + stats * 2u] = largest / LOG2E;
    softmax[params.softmax_at + stats * 2u + 1u] = total;
  }
  subgroupMatrixStore<row_major>(&scores, subgroup * 16u * RESULTS + 0u, o0, RESULTS);
  subgroupMatrixStore<row_major>(&scores, subgroup * 16u * RESULTS + 4u, o1, RESULTS);
  subgroupMatrixStore<row_major>(&scores, subgroup * 16u * RESULTS + 8u, o2, RESULTS);
  subgroupMatrixStore<row_major>(&scores, subgroup * 16u * RESULTS + 12u, o3, RESULTS);
  workgroupBarrier();
  for (var i = lane % 2u; i < DIM / 4u; i += 2u) {
    out[params.out_at / 4u + stats * (DIM / 4u) + i] = scores[row * RESULTS + i] / total;
  }
}
