// As finish.wgsl on matrix units, operands rounded to halves: heads of 64, sequences of whole tiles.
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
var<workgroup> weights: array<f16, TILE * WEIGHTS>;
/// Of the queries at hand: the largest score, one over the sum of exponentials, and what base.wgsl has left.
var<workgroup> stats: array<vec4f, PART>;

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
  let sharedHead = params.nHeads + group.x;
  let heads = params.nHeads / params.nKvHeads;
  let sequence = group.y / blocks * params.length;
  let key = group.y % blocks * TILE;
  let subgroup = own / 32u;
  let lane = own % 32u;
  let row = subgroup * 16u + lane / 2u;
  loadHeads(own, 0u, TILE, sequence + key, sharedHead);
  workgroupBarrier();
  let k0 = subgroupMatrixLoad<Left, row_major>(&tile, (subgroup * 16u) * LINE + 0u, LINE);
  let k1 = subgroupMatrixLoad<Left, row_major>(&tile, (subgroup * 16u) * LINE + 2u, LINE);
  let k2 = subgroupMatrixLoad<Left, row_major>(&tile, (subgroup * 16u) * LINE + 4u, LINE);
  let k3 = subgroupMatrixLoad<Left, row_major>(&tile, (subgroup * 16u) * LINE + 6u, LINE);
  workgroupBarrier();
  loadHeads(own, 0u, TILE, sequence + key, sharedHead + params.nKvHeads);
  workgroupBarrier();
  let v0 = subgroupMatrixLoad<Left, row_major>(&tile, (subgroup * 16u) * LINE + 0u, LINE);
  let v1 = subgroupMatrixLoad<Left, row_major>(&tile, (subgroup * 16u) * LINE + 2u, LINE);
  let v2 = subgroupMatrixLoad<Left, row_major>(&tile, (subgroup * 16u) * LINE + 4u, LINE);
  let v3 = subgroupMatrixLoad<Left, row_major>(&tile, (subgroup * 16u) * LINE + 6u, LINE);
  workgroupBarrier();
  var dk0 = Sum();
  var dv0 = Sum();
  var dk1 = Sum();
  var dv1 = Sum();
  var dk2 = Sum();
  var dv2 = Sum();
  var dk3 = Sum();
  var dv3 = Sum();
  for (var head = group.x * heads; head < (group.x + 1u) * heads; head++) {
    for (var query = key; query < params.length; query += PART) {
      loadHeads(own, 0u, PART, sequence + query, head);
      loadGradients(own, PART, PART, sequence + query, head);
      if (own < PART) {
        let at = (sequence + query + own) * params.nHeads + head;
        let total = softmax[params.softmax_at + at * 2u + 1u];
        stats[own] = vec4f(softmax[params.softmax_at + at * 2u], 1.0 / total, between[at], 0.0);
      }
      workgroupBarrier();
      var s0 = Sum();
      var s1 = Sum();
      s0 = subgroupMatrixMultiplyAccumulate(k0, subgroupMatrixLoad<Right, col_major>(&tile, (0u + 0u) * LINE + 0u, LINE), s0);
      s1 = subgroupMatrixMultiplyAccumulate(k0, subgroupMatrixLoad<Right, col_major>(&tile, (0u + 16u) * LINE + 0u, LINE), s1);
      s0 = subgroupMatrixMultiplyAccumulate(k1, subgroupMatrixLoad<Right, col_major>(&tile, (0u + 0u) * LINE + 2u, LINE), s0);
      s1 = subgroupMatrixMultiplyAccumulate(k1, subgroupMatrixLoad<Right, col_major>(&tile, (0u + 16u) * LINE + 2u, LINE), s1);
      s0 = subgroupMatrixMultiplyAccumulate(k2, subgroupMatrixLoad<Right, col_major>(&tile, (0u + 0u) * LINE + 4u, LINE), s0);
      s1 = subgroupMatrixMultiplyAccumulate(k2, subgroupMatrixLoad<Right, col_major>(&tile, (0u + 16u) * LINE + 4u, LINE), s1);
      s0 = subgroupMatrixMultiplyAccumulate(k3, subgroupMatrixLoad<Right, col_major>(&tile, (0u + 0u) * LINE + 6u, LINE), s0);
      s1 = subgroupMatrixMultiplyAccumulate(k3, subgroupMatrixLoad<Right, col_major>(&tile, (0u + 16u) * LINE + 6u, LINE), s1);
      subgroupMatrixStore<row_major>(&scores, subgroup * 16u * SCORES + 0u, s0, SCORES);
      subgroupMatrixStore<row_major>(&scores, subgroup * 16u * SCORES + 16u, s1, SCORES);
      var p0 = Sum();
      var p1 = Sum();
      p0 = subgroupMatrixMultiplyAccumulate(v0, subgroupMatrixLoad<Right, col_major>(&tile, (PART + 0u) * LINE + 0u, LINE), p0);
      p1 = subgroupMatrixMultiplyAccumulate(v0, subgroupMatrixLoad<Right, col_major>(&tile, (PART + 16u) * LINE + 0u, LINE), p1);
      p0 = subgroupMatrixMultiplyAccumulate(v1, subgroupMatrixLoad<Right, col_major>(&tile, (PART + 0u) * LINE + 2u, LINE), p0);
      p1 = subgroupMatrixMultiplyAccumulate(v1, subgroupMatrixLoad<Right, col_major>(&tile, (PART + 16u) * LINE + 2u, LINE), p1);
      p0 = subgroupMatrixMultiplyAccumulate(v2, subgroupMatrixLoad<Right, col_major>(&tile, (PART + 0u) * LINE + 4u, LINE), p0);
      p1 = subgroupMatrixMultiplyAccumulate(v2, subgroupMatrixLoad<Right, col_major>(&tile, (PART + 16u) * LINE + 4u, LINE), p1);
      p0 = subgroupMatrixMultiplyAccumulate(v3, subgroupMatrixLoad<Right, col_major>(&tile, (PART + 0u) * LINE + 6u, LINE), p0);
      p1 = subgroupMatrixMultiplyAccumulate(v3, subgroupMatrixLoad<Right, col_major>(&tile, (PART + 16u) * LINE + 6u, LINE), p1);
      subgroupMatrixStore<row_major>(&products, subgroup * 16u * SCORES + 0u, p0, SCORES);
      subgroupMatrixStore<row_major>(&products, subgroup * 16u * SCORES + 16u, p1, SCORES);
      workgroupBarrier();
      for (var i = 0u; i < 16u; i++) {
        let col = columnOf(lane, i);
        let ofQuery = stats[col];
        let score = exp(scores[row * SCORES + col] * params.scale - ofQuery.x) * ofQuery.y;
        let p = select(0.0, score, key + row <= query + col);
        weights[row * WEIGHTS + col] = f16(p);
        gradients[row * WEIGHTS + col] = f16(p * (products[row * SCORES + col] - ofQuery.z) * params.scale);
      }
      workgroupBarrier();
      let dvw0 = subgroupMatrixLoad<Left, row_major>(&weights, subgroup * 16u * WEIGHTS + 0u, WEIGHTS);
      let dvw1 = subgroupMatrixLoad<Left, row_major>(&weights, subgroup * 16u * WEIGHTS + 16u, WEIGHTS);
      dv0 = subgroupMatrixMultiplyAccumulate(dvw0, subgroupMatrixLoad<Right, row_major>(&tile, (PART + 0u) * LINE + 0u, LINE), dv0);
      dv1 = subgroupMatrixMultiplyAccumulate(dvw0, subgroupMatrixLoad<Right, row_major>(&tile, (PART + 0u) * LINE + 2u, LINE), dv1);
      dv2 = subgroupMatrixMultiplyAccumulate(dvw0, subgroupMatrixLoad<Right, row_major>(&tile, (PART + 0u) * LINE + 4u, LINE), dv2);
      dv3 = subgroupMatrixMultiplyAccumulate(dvw0, subgroupMatrixLoad<Right, row_major>(&tile, (PART + 0u) * LINE + 6u, LINE), dv3);
      dv0 = subgroupMatrixMultiplyAccumulate(dvw1, subgroupMatrixLoad<Right, row_major>(&tile, (PART + 16u) * LINE + 0u, LINE), dv0);
      dv1 = subgroupMatrixMultiplyAccumulate(dvw1, subgroupMatrixLoad<Right, row_major>(&tile, (PART + 16u) * LINE + 2u, LINE), dv1);
      dv2 = subgroupMatrixMultiplyAccumulate(dvw1, subgroupMatrixLoad<Right, row_major>(&tile, (PART + 16u) * LINE + 4u, LINE), dv2);
      dv3 = subgroupMatrixMultiplyAccumulate(dvw1, subgroupMatrixLoad<Right, row_major>(&tile, (PART + 16u) * LINE + 6u, LINE), dv3);
      let dkw0 = subgroupMatrixLoad<Left, row_major>(&gradients, subgroup * 16u * WEIGHTS + 0u, WEIGHTS);
      let dkw1 = subgroupMatrixLoad<Left, row_major>(&gradients, subgroup * 16u * WEIGHTS + 16u, WEIGHTS);
      dk0 = subgroupMatrixMultiplyAccumulate(dkw0, subgroupMatrixLoad<Right, row_major>(&tile, (0u + 0u) * LINE + 0u, LINE), dk0);
      dk1 = subgroupMatrixMultiplyAccumulate(dkw0, subgroupMatrixLoad<Right, row_major>(&tile, (0u + 0u) * LINE + 2u, LINE), dk1);
      dk2 = subgroupMatrixMultiplyAccumulate(dkw0, subgroupMatrixLoad<Right, row_major>(&tile, (0u + 0u) * LINE + 4u, LINE), dk2);
      dk3 = subgroupMatrixMultiplyAccumulate(dkw0, subgroupMatrixLoad<Right, row_major>(&tile, (0u + 0u) * LINE + 6u, LINE), dk3);
      dk0 = subgroupMatrixMultiplyAccumulate(dkw1, subgroupMatrixLoad<Right, row_major>(&tile, (0u + 16u) * LINE + 0u, LINE), dk0);
      dk1 = subgroupMatrixMultiplyAccumulate(dkw1, subgroupMatrixLoad<Right, row_major>(&tile, (0u + 16u) * LINE + 2u, LINE), dk1);
      dk2 = subgroupMatrixMultiplyAccumulate(dkw1, subgroupMatrixLoad<Right, row_major>(&tile, (0u + 16u) * LINE + 4u, LINE), dk2);
      dk3 = subgroupMatrixMultiplyAccumulate(dkw1, subgroupMatrixLoad<Right, row_major>(&tile, (0u + 16u) * LINE + 6u, LINE), dk3);
      workgroupBarrier();
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
