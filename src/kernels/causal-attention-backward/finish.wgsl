// The gradients of keys and values, a workgroup for 32 keys of a head, over the heads of queries that share it;
// see reference.ts. Invocation 8 r + l has key r, its queries l, l + 8, ... of a tile and its dimensions
// l, l + 8, ...
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
  dOut_at: u32,
  dQkv_at: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> qkv: array<f32>;
@group(0) @binding(2) var<storage, read> out: array<f32>;
@group(0) @binding(3) var<storage, read> softmax: array<f32>;
@group(0) @binding(4) var<storage, read> dOut: array<f32>;
@group(0) @binding(5) var<storage, read_write> dQkv: array<f32>;
@group(0) @binding(6) var<storage, read_write> between: array<f32>;

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

/// Where a head of a row of results and their gradients begins.
fn attendedAt(row: u32, head: u32) -> u32 {
  return (row * params.nHeads + head) * params.headDim;
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

/// Reads dimensions from `first` on of TILE rows of a head; zeros past the ends.
fn loadRightGradients(own: u32, start: u32, count: u32, head: u32, first: u32) {
  for (var i = own; i < TILE * PART; i += 256u) {
    let row = i / PART;
    let dim = first + i % PART;
    var value = 0.0;
    if (row < count && dim < params.headDim) {
      value = dOut[params.dOut_at + attendedAt(start + row, head) + dim];
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
  let sharedHead = params.nHeads + group.x;
  let heads = params.nHeads / params.nKvHeads;
  let sequence = group.y / blocks * params.length;
  let key = group.y % blocks * TILE;
  let keys = min(TILE, params.length - key);
  let r = own >> 3u;
  let lane = own & 7u;
  var dKeys = array<f32, MOST_DIM / 8u>();
  var dValues = array<f32, MOST_DIM / 8u>();
  for (var head = group.x * heads; head < (group.x + 1u) * heads; head++) {
    for (var query = key; query < params.length; query += TILE) {
      let queries = min(TILE, params.length - query);
      var scores = vec4f();
      var gradients = vec4f();
      for (var first = 0u; first < params.headDim; first += PART) {
        loadLeft(own, sequence + key, keys, sharedHead, first);
        loadRight(own, sequence + query, queries, head, first);
        workgroupBarrier();
        scores = rowProducts(r, lane, scores);
        workgroupBarrier();
        loadLeft(own, sequence + key, keys, sharedHead + params.nKvHeads, first);
        loadRightGradients(own, sequence + query, queries, head, first);
        workgroupBarrier();
        gradients = rowProducts(r, lane, gradients);
        workgroupBarrier();
      }
      var p = vec4f();
      for (var i = 0u; i < 4u; i++) {
        let row = query + i * 8u + lane;
        if (row < params.length && key + r <= row) {
          let at = (sequence + row) * params.nHeads + head;
          let largest = softmax[params.softmax_at + at * 2u];
          p[i] = exp(scores[i] * params.scale - largest) / softmax[params.softmax_at + at * 2u + 1u];
          gradients[i] = p[i] * (gradients[i] - between[at]);
        } else {
          gradients[i] = 0.0;
        }
        weights[r * STRIDE + i * 8u + lane] = p[i];
      }
      for (var first = 0u; first < MOST_DIM; first += PART) {
        if (first < params.headDim) {
          loadRightGradients(own, sequence + query, queries, head, first);
          workgroupBarrier();
          for (var i = 0u; i < 4u; i++) {
            dValues[first / 8u + i] = weighted(r, lane, i, dValues[first / 8u + i]);
          }
          workgroupBarrier();
        }
      }
      for (var i = 0u; i < 4u; i++) {
        weights[r * STRIDE + i * 8u + lane] = gradients[i];
      }
      for (var first = 0u; first < MOST_DIM; first += PART) {
        if (first < params.headDim) {
          loadRight(own, sequence + query, queries, head, first);
          workgroupBarrier();
          for (var i = 0u; i < 4u; i++) {
            dKeys[first / 8u + i] = weighted(r, lane, i, dKeys[first / 8u + i]);
          }
          workgroupBarrier();
        }
      }
    }
  }
  if (r >= keys) {
    return;
  }
  let ofKeys = headAt(sequence + key + r, sharedHead) - params.qkv_at + params.dQkv_at;
  let ofValues = ofKeys + params.nKvHeads * params.headDim;
  for (var i = 0u; i < MOST_DIM / 8u; i++) {
    let dim = i * 8u + lane;
    if (dim < params.headDim) {
      dQkv[ofKeys + dim] = dKeys[i] * params.scale;
      dQkv[ofValues + dim] = dValues[i];
    }
  }
}
