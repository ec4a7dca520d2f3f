// Causal attention with grouped queries over the cache, a workgroup for each head of each row; see reference.ts,
// layout.ts and cache-codec.ts. Positions go in tiles of 128, each folded into what came before it (the online
// softmax), in an order that no other row changes. Cache types: 0 f32, 1 f16, 2 int8, 3 int4.
struct Params {
  rows: u32,
  cache_type: u32,
  cache_nKvHeads: u32,
  cache_headDim: u32,
  table_columns: u32,
  nHeads: u32,
  chunks: u32,
  window: u32,
  scale: f32,
  step_at: u32,
  qkv_at: u32,
  cache_keys_at: u32,
  cache_values_at: u32,
  table_data_at: u32,
  out_at: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> step: array<i32>;
@group(0) @binding(2) var<storage, read> qkv: array<f32>;
@group(0) @binding(3) var<storage, read> cache_keys: array<u32>;
@group(0) @binding(4) var<storage, read> cache_values: array<u32>;
@group(0) @binding(5) var<storage, read> table_data: array<i32>;
@group(0) @binding(6) var<storage, read_write> out: array<f32>;

const THREADS = 128u;
const STEP_WORDS = 4u;
const MAX_HEAD_DIM = 256u;
const KEY_BLOCK = 16u;
const CHUNK = 256u;
const GROUP = 32u;
const LEAST = -3.4028234e38;
var<workgroup> query: array<f32, MAX_HEAD_DIM>;
var<workgroup> weights: array<f32, THREADS>;
var<workgroup> lanes: array<f32, THREADS>;

/// The float whose bits are a half; exact, subnormals too.
fn half(bits: u32) -> f32 {
  let sign = (bits & 0x8000u) << 16u;
  let magnitude = bits & 0x7fffu;
  if (magnitude < 0x400u) {
    let small = f32(magnitude) * 5.9604644775390625e-8;
    return bitcast<f32>(bitcast<u32>(small) | sign);
  }
  let high = select(0x38000000u, 0x70000000u, magnitude >= 0x7c00u);
  return bitcast<f32>(((magnitude << 13u) + high) | sign);
}

/// The first position, over all blocks, of the one that has a sequence's position, for a key head.
fn blockStart(slot: u32, position: u32, kvHead: u32) -> u32 {
  let block = u32(table_data[params.table_data_at + slot * params.table_columns + position / CHUNK]);
  return (block * params.cache_nKvHeads + kvHead) * CHUNK;
}

/// Where a part's position has its scales and its codes, in bytes: count positions lie together.
struct Place {
  scales: u32,
  codes: u32,
  i: u32,
  count: u32,
}

fn placeOf(isKey: bool, home: u32, position: u32) -> Place {
  let dim = params.cache_headDim;
  var header = 2u;
  var bytes = select((dim + 15u) & ~15u, (dim + 3u) & ~3u, isKey);
  if (params.cache_type == 3u) {
    let groups = (dim + GROUP - 1u) / GROUP;
    header = 4u * groups;
    bytes = 16u * groups;
  }
  let count = select(CHUNK, KEY_BLOCK, isKey);
  let i = position % count;
  let base = (home + position - i) * (header + bytes);
  return Place(base, base + header * count, i, count);
}

/// Byte of the code of dimension d (within its group of 32 bytes for int4) from a place's codes on.
fn codeAt(isKey: bool, place: Place, d: u32) -> u32 {
  if (isKey) {
    return ((d >> 2u) * KEY_BLOCK + place.i) * 4u + (d & 3u);
  }
  return (d >> 4u) * 16u * place.count + ((place.i >> 2u) * 16u + (d & 15u)) * 4u + (place.i & 3u);
}

fn cacheWord(isKey: bool, word: u32) -> u32 {
  if (isKey) {
    return cache_keys[params.cache_keys_at + word];
  }
  return cache_values[params.cache_values_at + word];
}

fn halfAt(isKey: bool, byte: u32) -> f32 {
  return half((cacheWord(isKey, byte >> 2u) >> ((byte & 2u) * 8u)) & 0xffffu);
}

/// Element d of the key or value at a position of a block.
fn element(isKey: bool, home: u32, position: u32, d: u32) -> f32 {
  let dim = params.cache_headDim;
  if (params.cache_type < 2u) {
    let lane = position % KEY_BLOCK;
    let keyAt = (home + position - lane) * dim + d * KEY_BLOCK + lane;
    let valueAt = (home + position) * ((dim + 15u) & ~15u) + d;
    let at = select(valueAt, keyAt, isKey);
    if (params.cache_type == 0u) {
      return bitcast<f32>(cacheWord(isKey, at));
    }
    return halfAt(isKey, at * 2u);
  }
  let place = placeOf(isKey, home, position);
  if (params.cache_type == 2u) {
    let byte = place.codes + codeAt(isKey, place, d);
    let code = f32((cacheWord(isKey, byte >> 2u) >> ((byte & 3u) * 8u)) & 0xffu) - 128.0;
    return code * halfAt(isKey, place.scales + 2u * place.i);
  }
  let group = d / GROUP;
  let byte = place.codes + group * 16u * place.count + codeAt(isKey, place, d & 15u);
  let shift = (byte & 3u) * 8u + select(0u, 4u, (d & 16u) != 0u);
  let code = f32((cacheWord(isKey, byte >> 2u) >> shift) & 15u);
  let header = place.scales + group * 4u * place.count + 2u * place.i;
  return code * halfAt(isKey, header) + halfAt(isKey, header + 2u * place.count);
}

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(local_invocation_index) own: u32) {
  let headIndex = workgroup.x;
  let row = workgroup.y;
  let dim = params.cache_headDim;
  let kvHeads = params.cache_nKvHeads;
  let begin = params.qkv_at + (row * (params.nHeads + 2u * kvHeads) + headIndex) * dim;
  for (var d = own; d < dim; d += THREADS) {
    query[d] = qkv[begin + d];
  }
  let slot = u32(step[params.step_at + row * STEP_WORDS + 1u]);
  let positions = u32(step[params.step_at + row * STEP_WORDS + 2u]) + 1u;
  let kvHead = headIndex / (params.nHeads / kvHeads);
  let start = select(0u, positions - min(positions, params.window), params.window > 0u);
  workgroupBarrier();

  // Each invocation keeps the weighted values of dimensions own and own + 128.
  var values = vec2f();
  var largest = LEAST;
  var total = 0.0;
  for (var first = start - start % THREADS; first < positions; first += THREADS) {
    // A tile lies within a block.
    let home = blockStart(slot, first, kvHead);
    let inBlock = first % CHUNK;
    let position = first + own;
    let isSeen = position >= start && position < positions;
    var score = LEAST;
    if (isSeen) {
      var dot = 0.0;
      for (var d = 0u; d < dim; d++) {
        dot += query[d] * element(true, home, inBlock + own, d);
      }
      score = dot * params.scale;
    }
    lanes[own] = score;
    workgroupBarrier();
    for (var width = THREADS / 2u; width > 0u; width /= 2u) {
      if (own < width) {
        lanes[own] = max(lanes[own], lanes[own + width]);
      }
      workgroupBarrier();
    }
    let next = max(largest, lanes[0]);
    workgroupBarrier();
    let weight = select(0.0, exp(max(score - next, -87.0)), isSeen);
    weights[own] = weight;
    lanes[own] = weight;
    workgroupBarrier();
    for (var width = THREADS / 2u; width > 0u; width /= 2u) {
      if (own < width) {
        lanes[own] += lanes[own + width];
      }
      workgroupBarrier();
    }
    let kept = exp(max(largest - next, -87.0));
    total = total * kept + lanes[0];
    values *= kept;
    let count = min(THREADS, positions - first);
    for (var i = 0u; i < 2u; i++) {
      let d = own + i * THREADS;
      if (d < dim) {
        for (var k = 0u; k < count; k++) {
          if (weights[k] != 0.0) {
            values[i] += weights[k] * element(false, home, inBlock + k, d);
          }
        }
      }
    }
    largest = next;
    workgroupBarrier();
  }
  let result = params.out_at + (row * params.nHeads + headIndex) * dim;
  for (var i = 0u; i < 2u; i++) {
    let d = own + i * THREADS;
    if (d < dim) {
      out[result + d] = values[i] / total;
    }
  }
}
