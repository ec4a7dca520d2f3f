// As base.wgsl on matrix units, operands rounded to halves and in fragments of 16 x 16 (round-halves.wgsl): heads of
// 64, sequences of whole tiles.
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
@group(0) @binding(1) var<storage, read> qkv: array<vec4u>;
@group(0) @binding(2) var<storage, read> out: array<vec4f>;
@group(0) @binding(3) var<storage, read> softmax: array<f32>;
@group(0) @binding(4) var<storage, read> dOut: array<vec4u>;
@group(0) @binding(5) var<storage, read_write> dQkv: array<f32>;
@group(0) @binding(6) var<storage, read_write> between: array<f32>;

const SUBGROUPS = 2u;
const THREADS = SUBGROUPS * 32u;
const TILE = SUBGROUPS * 16u;
const DIM = 64u;
/// Rows of the other side that are multiplied at a time.
const PART = 16u;
/// From a row of scores to the next, in vectors of 4; from one of weights, in vectors of 4 halves: rows lie in other
/// banks.
const SCORES = PART / 4u + 2u;
const WEIGHTS = PART / 4u + 2u;
const LOG2E = 1.4426950408889634;
var<workgroup> scores: array<vec4f, TILE * SCORES>;
var<workgroup> products: array<vec4f, TILE * SCORES>;
var<workgroup> gradients: array<vec2u, TILE * WEIGHTS>;

alias Left = subgroup_matrix_left<f16, 16, 16>;
alias Right = subgroup_matrix_right<f16, 16, 16>;
alias Sum = subgroup_matrix_result<f32, 16, 16>;

/// Where the fragments of a head begin for 16 rows: four, of 16 dimensions each, in vectors of 8 halves.
fn fragmentsOf(rows: u32, head: u32) -> u32 {
  return (rows / 16u * (params.nHeads + 2u * params.nKvHeads) + head) * 128u;
}

/// The same of the gradients of results.
fn gradientsOf(rows: u32, head: u32) -> u32 {
  return (rows / 16u * params.nHeads + head) * 128u;
}

/// Which of four columns from `col` on a row must not see, that has `limit` for its last.
fn isHidden(col: u32, limit: i32) -> vec4<bool> {
  return vec4i(i32(col)) + vec4i(0, 1, 2, 3) > vec4i(limit);
}

fn halfDot(a: vec4u, low: vec4f, high: vec4f) -> f32 {
  return dot(vec4f(unpack2x16float(a.x), unpack2x16float(a.y)), low) +
    dot(vec4f(unpack2x16float(a.z), unpack2x16float(a.w)), high);
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
  let given = gradientsOf(sequence + query + subgroup * 16u, head);
  let stats = (sequence + query + row) * params.nHeads + head;
  let shift = softmax[params.softmax_at + stats * 2u] * LOG2E + log2(softmax[params.softmax_at + stats * 2u + 1u]);
  var along = 0.0;
  for (var i = lane % 2u; i < DIM / 8u; i += 2u) {
    let at = params.out_at / 4u + stats * (DIM / 4u) + i * 2u;
    along += halfDot(dOut[given + i / 2u * 32u + lane / 2u * 2u + i % 2u], out[at], out[at + 1u]);
  }
  along += subgroupShuffleXor(along, 1u);
  if (lane % 2u == 0u) {
    between[stats * 2u] = shift;
    between[stats * 2u + 1u] = along;
  }
  let q0 = subgroupMatrixLoad<Left, row_major>(&qkv, queries + 0u, 2u);
  let q1 = subgroupMatrixLoad<Left, row_major>(&qkv, queries + 32u, 2u);
  let q2 = subgroupMatrixLoad<Left, row_major>(&qkv, queries + 64u, 2u);
  let q3 = subgroupMatrixLoad<Left, row_major>(&qkv, queries + 96u, 2u);
  let g0 = subgroupMatrixLoad<Left, row_major>(&dOut, given + 0u, 2u);
  let g1 = subgroupMatrixLoad<Left, row_major>(&dOut, given + 32u, 2u);
  let g2 = subgroupMatrixLoad<Left, row_major>(&dOut, given + 64u, 2u);
  let g3 = subgroupMatrixLoad<Left, row_major>(&dOut, given + 96u, 2u);
  let next = (params.nHeads + 2u * params.nKvHeads) * 128u;
  let scale = params.scale * LOG2E;
  var d0 = Sum();
  var d1 = Sum();
  var d2 = Sum();
  var d3 = Sum();
  for (var key = 0u; key < query + TILE; key += PART) {
    let keys = fragmentsOf(sequence + key, sharedHead);
    let values = fragmentsOf(sequence + key, sharedHead + params.nKvHeads);
    var s0 = Sum();
    s0 = subgroupMatrixMultiplyAccumulate(q0, subgroupMatrixLoad<Right, col_major>(&qkv, keys + 0u * next + 0u, 2u), s0);
    s0 = subgroupMatrixMultiplyAccumulate(q1, subgroupMatrixLoad<Right, col_major>(&qkv, keys + 0u * next + 32u, 2u), s0);
    s0 = subgroupMatrixMultiplyAccumulate(q2, subgroupMatrixLoad<Right, col_major>(&qkv, keys + 0u * next + 64u, 2u), s0);
    s0 = subgroupMatrixMultiplyAccumulate(q3, subgroupMatrixLoad<Right, col_major>(&qkv, keys + 0u * next + 96u, 2u), s0);
    subgroupMatrixStore<row_major>(&scores, subgroup * 16u * SCORES + 0u, s0, SCORES);
    var p0 = Sum();
    p0 = subgroupMatrixMultiplyAccumulate(g0, subgroupMatrixLoad<Right, col_major>(&qkv, values + 0u * next + 0u, 2u), p0);
    p0 = subgroupMatrixMultiplyAccumulate(g1, subgroupMatrixLoad<Right, col_major>(&qkv, values + 0u * next + 32u, 2u), p0);
    p0 = subgroupMatrixMultiplyAccumulate(g2, subgroupMatrixLoad<Right, col_major>(&qkv, values + 0u * next + 64u, 2u), p0);
    p0 = subgroupMatrixMultiplyAccumulate(g3, subgroupMatrixLoad<Right, col_major>(&qkv, values + 0u * next + 96u, 2u), p0);
    subgroupMatrixStore<row_major>(&products, subgroup * 16u * SCORES + 0u, p0, SCORES);
    workgroupBarrier();
    let limit = i32(query + row) - i32(key);
    for (var i = 0u; i < PART / 8u; i++) {
      let col = i * 2u + lane % 2u;
      let p = exp2(scores[row * SCORES + col] * scale - shift);
      let gradient = p * (products[row * SCORES + col] - along) * params.scale;
      let seen = select(gradient, vec4f(), isHidden(col * 4u, limit));
      gradients[row * WEIGHTS + col] = vec2u(pack2x16float(seen.xy), pack2x16float(seen.zw));
    }
    workgroupBarrier();
    let dw0 = subgroupMatrixLoad<Left, row_major>(&gradients, subgroup * 16u * WEIGHTS + 0u, WEIGHTS);
    d0 = subgroupMatrixMultiplyAccumulate(dw0, subgroupMatrixLoad<Right, row_major>(&qkv, keys + 0u * next + 0u, 2u), d0);
    d1 = subgroupMatrixMultiplyAccumulate(dw0, subgroupMatrixLoad<Right, row_major>(&qkv, keys + 0u * next + 32u, 2u), d1);
    d2 = subgroupMatrixMultiplyAccumulate(dw0, subgroupMatrixLoad<Right, row_major>(&qkv, keys + 0u * next + 64u, 2u), d2);
    d3 = subgroupMatrixMultiplyAccumulate(dw0, subgroupMatrixLoad<Right, row_major>(&qkv, keys + 0u * next + 96u, 2u), d3);
  }
  let stride = (params.nHeads + 2u * params.nKvHeads) * DIM;
  let at = params.dQkv_at + (sequence + query + subgroup * 16u) * stride + head * DIM;
  subgroupMatrixStore<row_major>(&dQkv, at + 0u, d0, stride);
  subgroupMatrixStore<row_major>(&dQkv, at + 16u, d1, stride);
  subgroupMatrixStore<row_major>(&dQkv, at + 32u, d2, stride);
  subgroupMatrixStore<row_major>(&dQkv, at + 48u, d3, stride);
}
