// Rotary embedding and cache write, a workgroup for each head of queries, keys and values of each row; see
// reference.ts and attention/cache-codec.ts. Cache types: 0 f32, 1 f16, 2 int8, 3 int4.
struct Params {
  rows: u32,
  table_columns: u32,
  cache_type: u32,
  cache_nKvHeads: u32,
  cache_headDim: u32,
  nHeads: u32,
  headNorms_eps: f32,
  step_at: u32,
  headNorms_query_at: u32,
  headNorms_key_at: u32,
  rotations_at: u32,
  qkv_at: u32,
  table_data_at: u32,
  cache_keys_at: u32,
  cache_values_at: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> step: array<i32>;
@group(0) @binding(2) var<storage, read> headNorms_query: array<f32>;
@group(0) @binding(3) var<storage, read> headNorms_key: array<f32>;
@group(0) @binding(4) var<storage, read> rotations: array<f32>;
@group(0) @binding(5) var<storage, read_write> qkv: array<f32>;
@group(0) @binding(6) var<storage, read> table_data: array<i32>;
@group(0) @binding(7) var<storage, read_write> cache_keys: array<atomic<u32>>;
@group(0) @binding(8) var<storage, read_write> cache_values: array<atomic<u32>>;

const THREADS = 64u;
const ABSENT = 0xffffffffu;
const STEP_WORDS = 4u;
const MAX_HEAD_DIM = 256u;
const KEY_BLOCK = 16u;
const CHUNK = 256u;
const GROUP = 32u;
var<workgroup> head: array<f32, MAX_HEAD_DIM>;
var<workgroup> lanes: array<f32, THREADS>;

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

/// Replaces the bits of `mask` in a word that others write to as well, each to bits of its own.
fn replaceBits(isKey: bool, word: u32, mask: u32, bits: u32) {
  if (isKey) {
    let at = params.cache_keys_at + word;
    atomicAnd(&cache_keys[at], ~mask);
    atomicOr(&cache_keys[at], bits);
  } else {
    let at = params.cache_values_at + word;
    atomicAnd(&cache_values[at], ~mask);
    atomicOr(&cache_values[at], bits);
  }
}

/// Stores x as a half, at a multiple of 2 bytes. Returns what was stored.
fn storeHalf(isKey: bool, byte: u32, x: f32) -> f32 {
  let bits = halfBits(x);
  let shift = (byte & 2u) * 8u;
  replaceBits(isKey, byte >> 2u, 0xffffu << shift, bits << shift);
  return half(bits);
}

/// a / b rounded to nearest, for results that are normal; 0 where a or b is not, or infinite. No quotient of two
/// floats is halfway between two others.
fn quotient(a: f32, b: f32) -> f32 {
  let bits = vec2u(bitcast<u32>(a), bitcast<u32>(b)) & vec2u(0x7fffffffu);
  let fractions = bits & vec2u(0x7fffffu);
  let isLess = fractions.x < fractions.y;
  let exponent = i32(bits.x >> 23u) - i32(bits.y >> 23u) - i32(isLess);
  // A float's guess is three units off at most; what it leaves is exact in 32 bits, though the products are not.
  let ones = bitcast<vec2f>(fractions | vec2u(0x3f800000u));
  let digits = i32(ones.x / ones.y * select(8388608.0, 16777216.0, isLess));
  let divisor = i32(fractions.y | 0x800000u);
  let dividend = (fractions.x | 0x800000u) << (23u + u32(isLess));
  let rest = 2 * bitcast<i32>(dividend - bitcast<u32>(digits * divisor));
  let above = i32(rest > divisor) + i32(rest > 3 * divisor) + i32(rest > 5 * divisor);
  let below = i32(rest < -divisor) + i32(rest < -3 * divisor) + i32(rest < -5 * divisor);
  let result = (u32(exponent + 127) << 23u) + bitcast<u32>(digits + above - below - 0x800000);
  let isNormal = bits.x >= 0x800000u && bits.y >= 0x800000u && bits.y < 0x7f800000u;
  return select(0.0, bitcast<f32>(result), isNormal);
}

/// The sum over the workgroup.
fn sumOf(own: u32, value: f32) -> f32 {
  lanes[own] = value;
  workgroupBarrier();
  for (var width = THREADS / 2u; width > 0u; width /= 2u) {
    if (own < width) {
      lanes[own] += lanes[own + width];
    }
    workgroupBarrier();
  }
  let sum = lanes[0];
  workgroupBarrier();
  return sum;
}

/// The largest over the workgroup.
fn largestOf(own: u32, value: f32) -> f32 {
  lanes[own] = value;
  workgroupBarrier();
  for (var width = THREADS / 2u; width > 0u; width /= 2u) {
    if (own < width) {
      lanes[own] = max(lanes[own], lanes[own + width]);
    }
    workgroupBarrier();
  }
  let largest = lanes[0];
  workgroupBarrier();
  return largest;
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

fn writeFloats(isKey: bool, own: u32, home: u32, position: u32) {
  let dim = params.cache_headDim;
  for (var d = own; d < dim; d += THREADS) {
    let lane = position % KEY_BLOCK;
    let keyAt = (home + position - lane) * dim + d * KEY_BLOCK + lane;
    let valueAt = (home + position) * ((dim + 15u) & ~15u) + d;
    let at = select(valueAt, keyAt, isKey);
    if (params.cache_type == 1u) {
      storeHalf(isKey, at * 2u, head[d]);
    } else {
      replaceBits(isKey, at, 0xffffffffu, bitcast<u32>(head[d]));
    }
  }
}

fn writeInt8(isKey: bool, own: u32, home: u32, position: u32) {
  let place = placeOf(isKey, home, position);
  var magnitude = 0.0;
  for (var d = own; d < params.cache_headDim; d += THREADS) {
    magnitude = max(magnitude, abs(head[d]));
  }
  let scale = half(halfBits(quotient(largestOf(own, magnitude), 127.0)));
  if (own == 0u) {
    storeHalf(isKey, place.scales + 2u * place.i, scale);
  }
  let inverse = quotient(1.0, scale);
  for (var d = own; d < params.cache_headDim; d += THREADS) {
    let code = 128 + i32(clamp(round(head[d] * inverse), -127.0, 127.0));
    let byte = place.codes + codeAt(isKey, place, d);
    let shift = (byte & 3u) * 8u;
    replaceBits(isKey, byte >> 2u, 0xffu << shift, u32(code) << shift);
  }
}

fn writeInt4(isKey: bool, own: u32, home: u32, position: u32) {
  let place = placeOf(isKey, home, position);
  let dim = params.cache_headDim;
  let groups = (dim + GROUP - 1u) / GROUP;
  for (var group = own; group < groups; group += THREADS) {
    let first = group * GROUP;
    let last = min(first + GROUP, dim);
    var least = head[first];
    var most = head[first];
    for (var d = first + 1u; d < last; d++) {
      least = min(least, head[d]);
      most = max(most, head[d]);
    }
    // A zero is stored as a positive one.
    let offset = half(halfBits(select(least, 0.0, least == 0.0)));
    let scale = half(halfBits(quotient(most - offset, 15.0)));
    let byte = place.scales + group * 4u * place.count + 2u * place.i;
    storeHalf(isKey, byte, scale);
    storeHalf(isKey, byte + 2u * place.count, offset);
    let inverse = quotient(1.0, scale);
    for (var d = first; d < last; d++) {
      let code = u32(clamp(round((head[d] - offset) * inverse), 0.0, 15.0));
      let at = place.codes + group * 16u * place.count + codeAt(isKey, place, d & 15u);
      let shift = (at & 3u) * 8u + select(0u, 4u, (d & 16u) != 0u);
      replaceBits(isKey, at >> 2u, 15u << shift, code << shift);
    }
  }
}

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) own: u32) {
  let row = group.y;
  let dim = params.cache_headDim;
  let kvHeads = params.cache_nKvHeads;
  let begin = params.qkv_at + (row * (params.nHeads + 2u * kvHeads) + group.x) * dim;
  let position = u32(step[params.step_at + row * STEP_WORDS + 2u]);
  for (var d = own; d < dim; d += THREADS) {
    head[d] = qkv[begin + d];
  }
  workgroupBarrier();
  if (group.x < params.nHeads + kvHeads) {
    if (params.headNorms_query_at != ABSENT) {
      var squares = 0.0;
      for (var d = own; d < dim; d += THREADS) {
        squares += head[d] * head[d];
      }
      let inverse = 1.0 / sqrt(sumOf(own, squares) / f32(dim) + params.headNorms_eps);
      for (var d = own; d < dim; d += THREADS) {
        var weight = headNorms_query[params.headNorms_query_at + d];
        if (group.x >= params.nHeads) {
          weight = headNorms_key[params.headNorms_key_at + d];
        }
        head[d] = head[d] * inverse * weight;
      }
      workgroupBarrier();
    }
    let half = dim / 2u;
    let angles = params.rotations_at + position * dim;
    for (var i = own; i < half; i += THREADS) {
      let cos = rotations[angles + i];
      let sin = rotations[angles + half + i];
      let a = head[i];
      let b = head[i + half];
      head[i] = fma(a, cos, -(b * sin));
      head[i + half] = fma(b, cos, a * sin);
      qkv[begin + i] = head[i];
      qkv[begin + i + half] = head[i + half];
    }
    workgroupBarrier();
  }
  if (group.x < params.nHeads) {
    return;
  }
  let slot = u32(step[params.step_at + row * STEP_WORDS + 1u]);
  let isKey = group.x < params.nHeads + kvHeads;
  let kvHead = group.x - params.nHeads - select(kvHeads, 0u, isKey);
  let home = blockStart(slot, position, kvHead);
  let inBlock = position % CHUNK;
  switch (params.cache_type) {
    case 2u: {
      writeInt8(isKey, own, home, inBlock);
    }
    case 3u: {
      writeInt4(isKey, own, home, inBlock);
    }
    default: {
      writeFloats(isKey, own, home, inBlock);
    }
  }
}
