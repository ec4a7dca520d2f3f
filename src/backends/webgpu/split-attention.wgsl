// Attention for few rows and floats in the cache, a workgroup for each head of each row and each block of 256
// positions; what reads the parts puts blocks together. IS_TURNED: rope-cache too, for one row. The order of sums
// is that of attention/tiles.wgsl, bit for bit: scores by quarters of the dimensions, values by 32 positions, both
// then in pairs.
struct Params {
  kvHeads: u32,
  columns: u32,
  nHeads: u32,
  window: u32,
  scale: f32,
  step_at: u32,
  qkv_at: u32,
  rotations_at: u32,
  table_at: u32,
  keys_at: u32,
  values_at: u32,
  out_at: u32,
  parts_at: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> step: array<i32>;
@group(0) @binding(2) var<storage, read> qkv: array<f32>;
@group(0) @binding(3) var<storage, read> rotations: array<f32>;
@group(0) @binding(4) var<storage, read> table: array<i32>;
@group(0) @binding(5) var<storage, read_write> keys: array<u32>;
@group(0) @binding(6) var<storage, read_write> values: array<u32>;
@group(0) @binding(7) var<storage, read_write> out: array<f32>;
/// For each row, head and block: the values, the largest score, the sum of weights, and two more.
@group(0) @binding(8) var<storage, read_write> parts: array<f32>;

const THREADS = 256u;
const DIM = 128u;
/// 0 f32, 1 f16.
const TYPE = 1u;
/// Whether a sequence is one block, so that nothing is left to be merged.
const IS_WHOLE = 0u;
const IS_TURNED = 0u;
const STEP_WORDS = 4u;
const KEY_BLOCK = 16u;
const CHUNK = 256u;
const GROUPS = 32u;
const STRIDE = (DIM + 15u) & ~15u;
const PAIRS = DIM / 2u;
const RANGES = 8u;
const SUMS = max(2u * CHUNK, RANGES * PAIRS);
const LEAST = -3.4028234e38;
var<workgroup> query: array<f32, DIM>;
var<workgroup> newKey: array<f32, DIM>;
var<workgroup> newValue: array<f32, DIM>;
var<workgroup> weights: array<f32, CHUNK>;
var<workgroup> groups: array<vec4f, GROUPS / 4u>;
/// Of two positions with each quarter of the dimensions, and later of two dimensions over each 32 positions.
var<workgroup> sums: array<vec2f, SUMS>;

/// The bits of the half nearest to x, ties to even; infinity beyond 65,504.
fn halfBits(x: f32) -> u32 {
  let bits = bitcast<u32>(x);
  let sign = (bits >> 16u) & 0x8000u;
  let magnitude = bits & 0x7fffffffu;
  if (magnitude > 0x7f800000u) {
    return sign | 0x7e00u;
  }
  if (magnitude >= 0x477ff000u) {
    return sign | 0x7c00u;
  }
  if (magnitude >= 0x38800000u) {
    let rounded = magnitude + 0xfffu + ((magnitude >> 13u) & 1u);
    return sign | ((rounded - 0x38000000u) >> 13u);
  }
  // A subnormal half counts multiples of 2^-24.
  let exponent = magnitude >> 23u;
  if (exponent < 102u) {
    return sign;
  }
  let mantissa = (magnitude & 0x7fffffu) | 0x800000u;
  let shift = 126u - exponent;
  let kept = mantissa >> shift;
  let rest = mantissa & ((1u << shift) - 1u);
  let middle = 1u << (shift - 1u);
  return sign | (kept + u32(rest > middle || (rest == middle && (kept & 1u) != 0u)));
}

/// Two neighbouring keys of the cache, from an even element on.
fn keysAt(at: u32) -> vec2f {
  if (TYPE == 0u) {
    return bitcast<vec2f>(vec2u(keys[params.keys_at + at], keys[params.keys_at + at + 1u]));
  }
  return unpack2x16float(keys[params.keys_at + at / 2u]);
}

fn valuesAt(at: u32) -> vec2f {
  if (TYPE == 0u) {
    return bitcast<vec2f>(vec2u(values[params.values_at + at], values[params.values_at + at + 1u]));
  }
  return unpack2x16float(values[params.values_at + at / 2u]);
}

/// What the cache keeps of a float.
fn stored(x: f32) -> f32 {
  if (TYPE == 0u) {
    return x;
  }
  return unpack2x16float(halfBits(x)).x;
}

/// Dimension d of a head, turned by the angles of a position.
fn turned(head: u32, d: u32, angles: u32) -> f32 {
  let i = d % PAIRS;
  let a = qkv[head + i];
  let b = qkv[head + i + PAIRS];
  let cos = rotations[angles + i];
  let sin = rotations[angles + PAIRS + i];
  return select(fma(b, cos, a * sin), fma(a, cos, -(b * sin)), d < PAIRS);
}

fn queryAt(head: u32, d: u32, angles: u32) -> f32 {
  if (IS_TURNED != 0u) {
    return turned(head, d, angles);
  }
  return qkv[head + d];
}

/// Writes the new key and value, of this position in its block.
fn store(own: u32, home: u32, position: u32) {
  let lane = position % KEY_BLOCK;
  let key = (home + position - lane) * DIM + lane;
  let value = (home + position) * STRIDE;
  for (var d = own; d < DIM; d += THREADS) {
    if (TYPE == 0u) {
      keys[params.keys_at + key + d * KEY_BLOCK] = bitcast<u32>(newKey[d]);
      values[params.values_at + value + d] = bitcast<u32>(newValue[d]);
    } else {
      // Its neighbour in the word is another position's, which nobody writes now.
      let at = params.keys_at + (key + d * KEY_BLOCK) / 2u;
      let shift = (lane & 1u) * 16u;
      keys[at] = (keys[at] & (0xffff0000u >> shift)) | (halfBits(newKey[d]) << shift);
      if ((d & 1u) == 0u) {
        let pair = halfBits(newValue[d]) | (halfBits(newValue[d + 1u]) << 16u);
        values[params.values_at + (value + d) / 2u] = pair;
      }
    }
  }
}

/// Two positions' products with a quarter of the query, in order; all loads are on their way first.
fn quarter(at: u32, first: u32) -> vec2f {
  var k: array<vec2f, DIM / 4u>;
  for (var i = 0u; i < DIM / 4u; i++) {
    k[i] = keysAt(at + (first + i) * KEY_BLOCK);
  }
  var sum = vec2f();
  for (var i = 0u; i < DIM / 4u; i++) {
    sum = fma(vec2f(query[first + i]), k[i], sum);
  }
  return sum;
}

/// Weighted values of 32 positions, two dimensions, in order. Behind the end nothing weighs, and what is read is
/// the last position.
fn range(low: u32, end: u32, home: u32, d: u32) -> vec2f {
  var v: array<vec2f, 32>;
  for (var i = 0u; i < 32u; i++) {
    v[i] = valuesAt((home + min(low + i, end - 1u)) * STRIDE + d);
  }
  var sum = vec2f();
  for (var i = 0u; i < 32u; i++) {
    sum = fma(vec2f(weights[low + i]), v[i], sum);
  }
  return sum;
}

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) own: u32) {
  let head = group.x % params.nHeads;
  let chunk = group.x / params.nHeads;
  let row = group.y;
  let newest = u32(step[params.step_at + row * STEP_WORDS + 2u]);
  let positions = newest + 1u;
  let begin = select(0u, positions - min(positions, params.window), params.window > 0u);
  let first = chunk * CHUNK;
  if (first >= positions || first + CHUNK <= begin) {
    return;
  }
  let start = max(begin, first) - first;
  let end = min(CHUNK, positions - first);
  let slot = u32(step[params.step_at + row * STEP_WORDS + 1u]);
  let headsOfKey = params.nHeads / params.kvHeads;
  let kvHead = head / headsOfKey;
  let block = u32(table[params.table_at + slot * params.columns + chunk]);
  let home = (block * params.kvHeads + kvHead) * CHUNK;
  let inputs = params.qkv_at + row * (params.nHeads + 2u * params.kvHeads) * DIM;
  // Beyond the block where the newest position is in a later one.
  let newAt = newest - first;
  let angles = params.rotations_at + newest * DIM;
  for (var at = own; at < select(1u, 3u, IS_TURNED != 0u) * DIM; at += THREADS) {
    let d = at % DIM;
    switch (at / DIM) {
      case 0u: {
        query[d] = queryAt(inputs + head * DIM, d, angles);
      }
      case 1u: {
        newKey[d] = stored(turned(inputs + (params.nHeads + kvHead) * DIM, d, angles));
      }
      default: {
        newValue[d] = stored(qkv[inputs + (params.nHeads + params.kvHeads + kvHead) * DIM + d]);
      }
    }
  }
  workgroupBarrier();
  if (IS_TURNED != 0u) {
    // Every head of a key writes what the others write, so that each finds it in the cache.
    if (newAt < CHUNK) {
      store(own, home, newAt);
    }
    storageBarrier();
  }

  // Task 128 q + i has quarter q of the dimensions of positions 2 i and 2 i + 1.
  for (var at = own; at < 2u * CHUNK; at += THREADS) {
    let position = 2u * (at & 127u);
    if (position < end && position + 1u >= start) {
      let lane = position % KEY_BLOCK;
      sums[at] = quarter((home + position - lane) * DIM + lane, (at >> 7u) * (DIM / 4u));
    }
  }
  workgroupBarrier();
  if (own < CHUNK / 2u) {
    let position = 2u * own;
    let scores = ((sums[own] + sums[own + 128u]) + (sums[own + 256u] + sums[own + 384u])) * params.scale;
    weights[position] = select(LEAST, scores.x, position >= start && position < end);
    weights[position + 1u] = select(LEAST, scores.y, position + 1u >= start && position + 1u < end);
  }
  workgroupBarrier();
  if (own < GROUPS) {
    var most = LEAST;
    for (var i = 0u; i < CHUNK / GROUPS; i++) {
      most = max(most, weights[own + i * GROUPS]);
    }
    groups[own >> 2u][own & 3u] = most;
  }
  workgroupBarrier();
  var mosts = groups[0];
  for (var i = 1u; i < GROUPS / 4u; i++) {
    mosts = max(mosts, groups[i]);
  }
  let largest = max(max(mosts.x, mosts.y), max(mosts.z, mosts.w));
  workgroupBarrier();
  if (own < CHUNK) {
    let isSeen = own >= start && own < end;
    weights[own] = select(0.0, exp(max(weights[own] - largest, -87.0)), isSeen);
  }
  workgroupBarrier();
  if (own < GROUPS) {
    var sum = 0.0;
    for (var i = 0u; i < CHUNK / GROUPS; i++) {
      sum += weights[own + i * GROUPS];
    }
    groups[own >> 2u][own & 3u] = sum;
  }
  // 32 positions for each pair of dimensions.
  for (var at = own; at < RANGES * PAIRS; at += THREADS) {
    let low = at / PAIRS * 32u;
    var sum = vec2f();
    if (low < end) {
      sum = range(low, end, home, 2u * (at % PAIRS));
    }
    sums[at] = sum;
  }
  workgroupBarrier();
  var totals = groups[0];
  for (var i = 1u; i < GROUPS / 4u; i++) {
    totals += groups[i];
  }
  let total = (totals.x + totals.y) + (totals.z + totals.w);
  let inverse = 1.0 / total;
  let result = params.out_at + (row * params.nHeads + head) * DIM;
  let part = params.parts_at + ((row * params.nHeads + head) * params.columns + chunk) * (DIM + 4u);
  for (var at = own; at < PAIRS; at += THREADS) {
    let low = (sums[at] + sums[at + PAIRS]) + (sums[at + 2u * PAIRS] + sums[at + 3u * PAIRS]);
    let high = (sums[at + 4u * PAIRS] + sums[at + 5u * PAIRS]) + (sums[at + 6u * PAIRS] + sums[at + 7u * PAIRS]);
    let sum = low + high;
    if (IS_WHOLE != 0u) {
      out[result + 2u * at] = sum.x * inverse;
      out[result + 2u * at + 1u] = sum.y * inverse;
    } else {
      parts[part + 2u * at] = sum.x;
      parts[part + 2u * at + 1u] = sum.y;
    }
  }
  if (IS_WHOLE == 0u && own == 0u) {
    parts[part + DIM] = largest;
    parts[part + DIM + 1u] = total;
  }
}
