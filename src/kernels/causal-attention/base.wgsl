// Causal attention of whole sequences, a workgroup for 32 queries of a head; see reference.ts. Invocation
// 8 r + l has query r, its keys l, l + 8, ... of a tile and its dimensions l, l + 8, ...
struct Params {
  rows: u32,
  length: u32,
  nHeads: u32,
  nKvHeads: u32,
  headDim: u32,
  scale: f32,
  qkv_at: u32,
  out_at: u32,
  softmax_at: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> qkv: array<f32>;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;
@group(0) @binding(3) var<storage, read_write> softmax: array<f32>;

const MOST_DIM = 128u;
/// Queries, or keys, of a tile.
const TILE = 32u;
/// Dimensions that lie in the workgroup's memory at a time.
const PART = 32u;
const STRIDE = PART + 1u;
var<workgroup> left: array<f32, TILE * STRIDE>;
var<workgroup> right: array<f32, TILE * STRIDE>;
var<workgroup> weights: array<f32, TILE * STRIDE>;

/// Where a head of a row of queries, keys and values begins: heads of queries, then of keys, then of values.
fn headAt(row: u32, head: u32) -> u32 {
  return params.qkv_at + (row * (params.nHeads + 2u * params.nKvHeads) + head) * params.headDim;
}

/// Reads dimensions from `first` on of TILE rows of a head; zeros past the ends.
fn loadLeft(own: u32, start: u32, count: u32, head: u32, first: u32) {
  for (var i = own; i < TILE * PART; i += 256u) {
    let row = i / PART;
    let dim = first + i % PART;
    var value = 0.0;
    if (row < count && dim < params.headDim) {
      value = qkv[headAt(start + row, head) + dim];
    }
    left[row * STRIDE + i % PART] = value;
  }
}

/// Reads dimensions from `first` on of TILE rows of a head; zeros past the ends.
fn loadRight(own: u32, start: u32, count: u32, head: u32, first: u32) {
  for (var i = own; i < TILE * PART; i += 256u) {
    let row = i / PART;
    let dim = first + i % PART;
    var value = 0.0;
    if (row < count && dim < params.headDim) {
      value = qkv[headAt(start + row, head) + dim];
    }
    right[row * STRIDE + i % PART] = value;
  }
}

/// Adds the products of row r of `left` with four rows of `right`.
fn rowProducts(r: u32, lane: u32, before: vec4f) -> vec4f {
  var sums = before;
  for (var d = 0u; d < PART; d++) {
    let value = left[r * STRIDE + d];
    for (var i = 0u; i < 4u; i++) {
      sums[i] = fma(value, right[(i * 8u + lane) * STRIDE + d], sums[i]);
    }
  }
  return sums;
}

/// Adds a dimension of the tile's rows in `right`, each times its weight of row r.
fn weighted(r: u32, lane: u32, i: u32, before: f32) -> f32 {
  var sum = before;
  for (var k = 0u; k < TILE; k++) {
    sum = fma(weights[r * STRIDE + k], right[k * STRIDE + i * 8u + lane], sum);
  }
  return sum;
}

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) own: u32) {
  let blocks = (params.length + TILE - 1u) / TILE;
  let head = group.x;
  let sharedHead = params.nHeads + head / (params.nHeads / params.nKvHeads);
  let sequence = group.y / blocks * params.length;
  let query = group.y % blocks * TILE;
  let queries = min(TILE, params.length - query);
  let r = own >> 3u;
  let lane = own & 7u;
  var sums = array<f32, MOST_DIM / 8u>();
  var largest = -3.0e38;
  var total = 0.0;
  for (var key = 0u; key <= query; key += TILE) {
    let keys = min(TILE, params.length - key);
    var scores = vec4f();
    for (var first = 0u; first < params.headDim; first += PART) {
      loadLeft(own, sequence + query, queries, head, first);
      loadRight(own, sequence + key, keys, sharedHead, first);
      workgroupBarrier();
      scores = rowProducts(r, lane, scores);
      workgroupBarrier();
    }
    for (var i = 0u; i < 4u; i++) {
      let isSeen = key + i * 8u + lane <= query + r;
      weights[r * STRIDE + i * 8u + lane] = select(-3.0e38, scores[i] * params.scale, isSeen);
    }
    workgroupBarrier();
    let before = largest;
    for (var k = 0u; k < TILE; k++) {
      largest = max(largest, weights[r * STRIDE + k]);
    }
    workgroupBarrier();
    for (var i = 0u; i < 4u; i++) {
      let at = r * STRIDE + i * 8u + lane;
      weights[at] = exp(weights[at] - largest);
    }
    workgroupBarrier();
    let factor = exp(before - largest);
    total *= factor;
    for (var k = 0u; k < TILE; k++) {
      total += weights[r * STRIDE + k];
    }
    for (var first = 0u; first < MOST_DIM; first += PART) {
      if (first < params.headDim) {
        loadRight(own, sequence + key, keys, sharedHead + params.nKvHeads, first);
        workgroupBarrier();
        for (var i = 0u; i < 4u; i++) {
          sums[first / 8u + i] = weighted(r, lane, i, sums[first / 8u + i] * factor);
        }
        workgroupBarrier();
      }
    }
  }
  if (r >= queries) {
    return;
  }
  let at = (sequence + query + r) * params.nHeads + head;
  for (var i = 0u; i < MOST_DIM / 8u; i++) {
    let dim = i * 8u + lane;
    if (dim < params.headDim) {
      out[params.out_at + at * params.headDim + dim] = sums[i] / total;
    }
  }
  if (lane == 0u) {
    softmax[params.softmax_at + at * 2u] = largest;
    softmax[params.softmax_at + at * 2u + 1u] = total;
  }
}
