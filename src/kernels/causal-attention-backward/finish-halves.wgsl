// As finish.wgsl on matrix units, operands rounded to halves and in fragments of 16 x 16 (round-halves.wgsl): heads of
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
var<workgroup> weights: array<vec2u, TILE * WEIGHTS>;
/// Of the queries at hand: what halves.wgsl has left.
var<workgroup> shifts: array<vec4f, PART / 4u>;
var<workgroup> alongs: array<vec4f, PART / 4u>;

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

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) own: u32) {
  let blocks = params.length / TILE;
  let sharedHead = params.nHeads + group.x;
  let heads = params.nHeads / params.nKvHeads;
  let sequence = group.y / blocks * params.length;
  let key = group.y % blocks * TILE;
  let subgroup = own / 32u;
  let lane = own % 32u;
  let row = subgroup * 16u + lane / 2u;
  let keys = fragmentsOf(sequence + key + subgroup * 16u, sharedHead);
  let values = fragmentsOf(sequence + key + subgroup * 16u, sharedHead + params.nKvHeads);
  let k0 = subgroupMatrixLoad<Left, row_major>(&qkv, keys + 0u, 2u);
  let k1 = subgroupMatrixLoad<Left, row_major>(&qkv, keys + 32u, 2u);
  let k2 = subgroupMatrixLoad<Left, row_major>(&qkv, keys + 64u, 2u);
  let k3 = subgroupMatrixLoad<Left, row_major>(&qkv, keys + 96u, 2u);
  let v0 = subgroupMatrixLoad<Left, row_major>(&qkv, values + 0u, 2u);
  let v1 = subgroupMatrixLoad<Left, row_major>(&qkv, values + 32u, 2u);
  let v2 = subgroupMatrixLoad<Left, row_major>(&qkv, values + 64u, 2u);
  let v3 = subgroupMatrixLoad<Left, row_major>(&qkv, values + 96u, 2u);
  let next = (params.nHeads + 2u * params.nKvHeads) * 128u;
  let nextGiven = params.nHeads * 128u;
  let scale = params.scale * LOG2E;
  var dk0 = Sum();
  var dk1 = Sum();
  var dk2 = Sum();
  var dk3 = Sum();
  var dv0 = Sum();
  var dv1 = Sum();
  var dv2 = Sum();
  var dv3 = Sum();
  for (var head = group.x * heads; head < (group.x + 1u) * heads; head++) {
    for (var query = key; query < params.length; query += PART) {
      let queries = fragmentsOf(sequence + query, head);
      let given = gradientsOf(sequence + query, head);
      if (own < PART / 4u) {
        let at = ((sequence + query + own * 4u) * params.nHeads + head) * 2u;
        let line = params.nHeads * 2u;
        shifts[own] = vec4f(between[at], between[at + line], between[at + 2u * line], between[at + 3u * line]);
        alongs[own] = vec4f(between[at + 1u], between[at + line + 1u], between[at + 2u * line + 1u], between[at + 3u * line + 1u]);
      }
      var s0 = Sum();
      s0 = subgroupMatrixMultiplyAccumulate(k0, subgroupMatrixLoad<Right, col_major>(&qkv, queries + 0u * next + 0u, 2u), s0);
      s0 = subgroupMatrixMultiplyAccumulate(k1, subgroupMatrixLoad<Right, col_major>(&qkv, queries + 0u * next + 32u, 2u), s0);
      s0 = subgroupMatrixMultiplyAccumulate(k2, subgroupMatrixLoad<Right, col_major>(&qkv, queries + 0u * next + 64u, 2u), s0);
      s0 = subgroupMatrixMultiplyAccumulate(k3, subgroupMatrixLoad<Right, col_major>(&qkv, queries + 0u * next + 96u, 2u), s0);
      subgroupMatrixStore<row_major>(&scores, subgroup * 16u * SCORES + 0u, s0, SCORES);
      var p0 = Sum();
      p0 = subgroupMatrixMultiplyAccumulate(v0, subgroupMatrixLoad<Right, col_major>(&dOut, given + 0u * nextGiven + 0u, 2u), p0);
      p0 = subgroupMatrixMultiplyAccumulate(v1, subgroupMatrixLoad<Right, col_major>(&dOut, given + 0u * nextGiven + 32u, 2u), p0);
      p0 = subgroupMatrixMultiplyAccumulate(v2, subgroupMatrixLoad<Right, col_major>(&dOut, given + 0u * nextGiven + 64u, 2u), p0);
      p0 = subgroupMatrixMultiplyAccumulate(v3, subgroupMatrixLoad<Right, col_major>(&dOut, given + 0u * nextGiven + 96u, 2u), p0);
      subgroupMatrixStore<row_major>(&products, subgroup * 16u * SCORES + 0u, p0, SCORES);
      workgroupBarrier();
      let limit = i32(key + row) - i32(query);
      for (var i = 0u; i < PART / 8u; i++) {
        let col = i * 2u + lane % 2u;
        let score = exp2(scores[row * SCORES + col] * scale - shifts[col]);
        let isBefore = vec4i(i32(col * 4u)) + vec4i(0, 1, 2, 3) < vec4i(limit);
        let p = select(score, vec4f(), isBefore);
        let gradient = p * (products[row * SCORES + col] - alongs[col]) * params.scale;
        weights[row * WEIGHTS + col] = vec2u(pack2x16float(p.xy), pack2x16float(p.zw));
        gradients[row * WEIGHTS + col] = vec2u(pack2x16float(gradient.xy), pack2x16float(gradient.zw));
      }
      workgroupBarrier();
      let dvw0 = subgroupMatrixLoad<Left, row_major>(&weights, subgroup * 16u * WEIGHTS + 0u, WEIGHTS);
      dv0 = subgroupMatrixMultiplyAccumulate(dvw0, subgroupMatrixLoad<Right, row_major>(&dOut, given + 0u * nextGiven + 0u, 2u), dv0);
      dv1 = subgroupMatrixMultiplyAccumulate(dvw0, subgroupMatrixLoad<Right, row_major>(&dOut, given + 0u * nextGiven + 32u, 2u), dv1);
      dv2 = subgroupMatrixMultiplyAccumulate(dvw0, subgroupMatrixLoad<Right, row_major>(&dOut, given + 0u * nextGiven + 64u, 2u), dv2);
      dv3 = subgroupMatrixMultiplyAccumulate(dvw0, subgroupMatrixLoad<Right, row_major>(&dOut, given + 0u * nextGiven + 96u, 2u), dv3);
      let dkw0 = subgroupMatrixLoad<Left, row_major>(&gradients, subgroup * 16u * WEIGHTS + 0u, WEIGHTS);
      dk0 = subgroupMatrixMultiplyAccumulate(dkw0, subgroupMatrixLoad<Right, row_major>(&qkv, queries + 0u * next + 0u, 2u), dk0);
      dk1 = subgroupMatrixMultiplyAccumulate(dkw0, subgroupMatrixLoad<Right, row_major>(&qkv, queries + 0u * next + 32u, 2u), dk1);
      dk2 = subgroupMatrixMultiplyAccumulate(dkw0, subgroupMatrixLoad<Right, row_major>(&qkv, queries + 0u * next + 64u, 2u), dk2);
      dk3 = subgroupMatrixMultiplyAccumulate(dkw0, subgroupMatrixLoad<Right, row_major>(&qkv, queries + 0u * next + 96u, 2u), dk3);
    }
  }
  let stride = (params.nHeads + 2u * params.nKvHeads) * DIM;
  let ofKeys = params.dQkv_at + (sequence + key + subgroup * 16u) * stride + sharedHead * DIM;
  let ofValues = ofKeys + params.nKvHeads * DIM;
  subgroupMatrixStore<row_major>(&dQkv, ofKeys + 0u, dk0, stride);
  subgroupMatrixStore<row_major>(&dQkv, ofValues + 0u, dv0, stride);
  subgroupMatrixStore<row_major>(&dQkv, ofKeys + 16u, dk1, stride);
  subgroupMatrixStore<row_major>(&dQkv, ofValues + 16u, dv1, stride);
  subgroupMatrixStore<row_major>(&dQkv, ofKeys + 32u, dk2, stride);
  subgroupMatrixStore<row_major>(&dQkv, ofValues + 32u, dv2, stride);
  subgroupMatrixStore<row_major>(&dQkv, ofKeys + 48u, dk3, stride);
  subgroupMatrixStore<row_major>(&dQkv, ofValues + 48u, dv3, stride);
}
