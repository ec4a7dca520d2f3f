// Attention for few rows and floats in the cache, a workgroup for HEADS heads of one key in each row and each block
// of 256 positions; what reads the parts puts blocks together. IS_TURNED: rope-cache too, for one row. The order of
// sums is that of attention/tiles.wgsl, bit for bit: scores by quarters of the dimensions, values by 32 positions, both
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
/// Heads of one key, which share what they read of the cache.
const HEADS = 1u;
/// Blocks that a row's workgroups begin with; each goes on with every LANES-th. 0: there is one for each block.
const LANES = 0u;
/// Whether all that is read of the cache is on its way first; every invocation has one task then.
const IS_AHEAD = 0u;
const STEP_WORDS = 4u;
const KEY_BLOCK = 16u;
const CHUNK = 256u;
const GROUPS = 32u;
const STRIDE = (DIM + 15u) & ~15u;
const PAIRS = DIM / 2u;
const RANGES = 8u;
const SUMS = max(2u * CHUNK, RANGES * PAIRS);
const LEAST = -3.4028234e38;
var<workgroup> query: array<f32, DIM * HEADS>;
/// As the cache keeps them: bits, and floats.
var<workgroup> newKey: array<u32, DIM>;
var<workgroup> newValue: array<f32, DIM>;
/// Scores, and later weights; the newest position's weight is apart.
var<workgroup> weights: array<f32, CHUNK * HEADS>;
var<workgroup> newWeights: array<f32, HEADS>;
var<workgroup> largests: array<f32, HEADS>;
var<workgroup> groups: array<vec4f, GROUPS / 4u * HEADS>;
/// Of two positions with each quarter of the dimensions, and later of two dimensions over each 32 positions.
var<workgroup> sums: array<vec2f, SUMS * HEADS>;

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

/// Two neighbouring floats of the cache as their bits, in one word if they are halves.
fn floatsOf(bits: vec2u) -> vec2f {
  if (TYPE == 0u) {
    return bitcast<vec2f>(bits);
  }
  return unpack2x16float(bits.x);
}

fn keyPair(at: u32) -> vec2u {
  if (TYPE == 0u) {
    return vec2u(keys[params.keys_at + at], keys[params.keys_at + at + 1u]);
  }
  return vec2u(keys[params.keys_at + at / 2u], 0u);
}

fn valuePair(at: u32) -> vec2u {
  if (TYPE == 0u) {
    return vec2u(values[params.values_at + at], values[params.values_at + at + 1u]);
  }
  return vec2u(values[params.values_at + at / 2u], 0u);
}

/// A quarter of the dimensions of two positions.
fn keysOf(position: u32, home: u32, first: u32) -> array<vec2u, DIM / 4u> {
  let lane = position % KEY_BLOCK;
  let at = (home + position - lane) * DIM + lane + first * KEY_BLOCK;
  var k: array<vec2u, DIM / 4u>;
  for (var i = 0u; i < DIM / 4u; i++) {
    k[i] = keyPair(at + i * KEY_BLOCK);
  }
  return k;
}

/// Two dimensions of 32 positions; behind the end what is read is the last position.
fn valuesOf(low: u32, end: u32, home: u32, d: u32) -> array<vec2u, 32> {
  var v: array<vec2u, 32>;
  for (var i = 0u; i < 32u; i++) {
    v[i] = valuePair((home + min(low + i, end - 1u)) * STRIDE + d);
  }
  return v;
}

/// Bits of two keys with the second or the first of them replaced.
fn replaced(bits: vec2u, key: u32, isSecond: bool) -> vec2u {
  if (TYPE == 0u) {
    return select(vec2u(key, bits.y), vec2u(bits.x, key), isSecond);
  }
  let shift = select(0u, 16u, isSecond);
  return vec2u((bits.x & (0xffff0000u >> shift)) | (key << shift), 0u);
}

/// The bits that the cache keeps of a float.
fn kept(x: f32) -> u32 {
  if (TYPE == 0u) {
    return bitcast<u32>(x);
  }
  return halfBits(x);
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

/// Writes a dimension of the new key, and of the new value, of this position in its block.
fn store(d: u32, home: u32, position: u32) {
  let lane = position % KEY_BLOCK;
  let key = params.keys_at * (1u + TYPE) + (home + position - lane) * DIM + lane + d * KEY_BLOCK;
  let value = (home + position) * STRIDE + d;
  if (TYPE == 0u) {
    keys[key] = newKey[d];
    values[params.values_at + value] = bitcast<u32>(newValue[d]);
  } else {
    // Its neighbour in the word is another position's, which nobody writes now.
    keys[key / 2u] = replaced(vec2u(keys[key / 2u], 0u), newKey[d], (lane & 1u) != 0u).x;
    if ((d & 1u) == 0u) {
      let pair = halfBits(newValue[d]) | (halfBits(newValue[d + 1u]) << 16u);
      values[params.values_at + value / 2u] = pair;
    }
  }
}

/// A block of positions of a row, if the row sees any of it.
fn attend(row: u32, newest: u32, head: u32, chunk: u32, own: u32) {
  let positions = newest + 1u;
  let begin = select(0u, positions - min(positions, params.window), params.window > 0u);
  let first = chunk * CHUNK;
  if (first >= positions || first + CHUNK <= begin) {
    return;
  }
  let start = max(begin, first) - first;
  let end = min(CHUNK, positions - first);
  // The newest position is in none of the cache if this is its block, but in workgroup memory.
  let newAt = newest - first;
  let isNew = IS_TURNED != 0u && newAt < CHUNK;
  let oldEnd = end - u32(isNew);
  let slot = u32(step[params.step_at + row * STEP_WORDS + 1u]);
  let headsOfKey = params.nHeads / params.kvHeads;
  let kvHead = head / headsOfKey;
  let block = u32(table[params.table_at + slot * params.columns + chunk]);
  let home = (block * params.kvHeads + kvHead) * CHUNK;
  let inputs = params.qkv_at + row * (params.nHeads + 2u * params.kvHeads) * DIM;
  var k: array<vec2u, DIM / 4u>;
  var v: array<vec2u, 32>;
  if (IS_AHEAD != 0u) {
    if (2u * (own % 128u) < end) {
      k = keysOf(2u * (own % 128u), home, own / 128u * (DIM / 4u));
    }
    if (own / PAIRS * 32u < oldEnd) {
      v = valuesOf(own / PAIRS * 32u, oldEnd, home, 2u * (own % PAIRS));
    }
  }
  let angles = params.rotations_at + newest * DIM;
  for (var at = own; at < (HEADS + 2u * IS_TURNED) * DIM; at += THREADS) {
    let d = at % DIM;
    let part = at / DIM;
    if (part < HEADS) {
      query[at] = queryAt(inputs + (head + part) * DIM, d, angles);
    } else if (part == HEADS) {
      newKey[d] = kept(turned(inputs + (params.nHeads + kvHead) * DIM, d, angles));
    } else {
      let bits = kept(qkv[inputs + (params.nHeads + params.kvHeads + kvHead) * DIM + d]);
      newValue[d] = floatsOf(vec2u(bits, 0u)).x;
    }
  }
  workgroupBarrier();
  if (isNew && head % headsOfKey == 0u) {
    for (var d = own; d < DIM; d += THREADS) {
      store(d, home, newAt);
    }
  }

  // Task 128 q + i has quarter q of the dimensions of positions 2 i and 2 i + 1.
  for (var task = own; task < 2u * CHUNK; task += THREADS) {
    let position = 2u * (task % 128u);
    let d = task / 128u * (DIM / 4u);
    if (position < end && position + 1u >= start) {
      if (IS_AHEAD == 0u) {
        k = keysOf(position, home, d);
      }
      if (isNew && position == newAt - newAt % 2u) {
        for (var i = 0u; i < DIM / 4u; i++) {
          k[i] = replaced(k[i], newKey[d + i], newAt % 2u != 0u);
        }
      }
      var both = array<vec2f, HEADS>();
      for (var i = 0u; i < DIM / 4u; i++) {
        for (var h = 0u; h < HEADS; h++) {
          both[h] = fma(vec2f(query[h * DIM + d + i]), floatsOf(k[i]), both[h]);
        }
      }
      for (var h = 0u; h < HEADS; h++) {
        sums[h * SUMS + task] = both[h];
      }
    }
  }
  workgroupBarrier();
  for (var at = own; at < CHUNK / 2u * HEADS; at += THREADS) {
    let h = at / (CHUNK / 2u);
    let i = h * SUMS + at % (CHUNK / 2u);
    let position = 2u * (at % (CHUNK / 2u));
    let scores = ((sums[i] + sums[i + 128u]) + (sums[i + 256u] + sums[i + 384u])) * params.scale;
    weights[2u * at] = select(LEAST, scores.x, position >= start && position < end);
    weights[2u * at + 1u] = select(LEAST, scores.y, position + 1u >= start && position + 1u < end);
  }
  workgroupBarrier();
  let groupStart = own / GROUPS * CHUNK + own % GROUPS;
  if (own < GROUPS * HEADS) {
    var most = LEAST;
    for (var i = 0u; i < CHUNK / GROUPS; i++) {
      most = max(most, weights[groupStart + i * GROUPS]);
    }
    groups[own >> 2u][own & 3u] = most;
  }
  workgroupBarrier();
  for (var at = own; at < CHUNK * HEADS; at += THREADS) {
    let h = at / CHUNK;
    var mosts = groups[h * GROUPS / 4u];
    for (var i = 1u; i < GROUPS / 4u; i++) {
      mosts = max(mosts, groups[h * GROUPS / 4u + i]);
    }
    let largest = max(max(mosts.x, mosts.y), max(mosts.z, mosts.w));
    let position = at % CHUNK;
    let isSeen = position >= start && position < end;
    let weight = select(0.0, exp(max(weights[at] - largest, -87.0)), isSeen);
    let isNewest = isNew && position == newAt;
    weights[at] = select(weight, 0.0, isNewest);
    if (isNewest) {
      newWeights[h] = weight;
    }
    if (position == 0u) {
      largests[h] = largest;
    }
  }
  workgroupBarrier();
  if (own < GROUPS * HEADS) {
    var sum = 0.0;
    for (var i = 0u; i < CHUNK / GROUPS; i++) {
      sum += weights[groupStart + i * GROUPS];
    }
    // Behind the newest position nothing weighs, so that it is added last.
    if (isNew && own % GROUPS == newAt % GROUPS) {
      sum += newWeights[own / GROUPS];
    }
    groups[own >> 2u][own & 3u] = sum;
  }
  // 32 positions for each pair of dimensions.
  for (var task = own; task < RANGES * PAIRS; task += THREADS) {
    let low = task / PAIRS * 32u;
    let d = 2u * (task % PAIRS);
    var both = array<vec2f, HEADS>();
    if (low < oldEnd) {
      if (IS_AHEAD == 0u) {
        v = valuesOf(low, oldEnd, home, d);
      }
      for (var i = 0u; i < 32u; i++) {
        for (var h = 0u; h < HEADS; h++) {
          both[h] = fma(vec2f(weights[h * CHUNK + low + i]), floatsOf(v[i]), both[h]);
        }
      }
    }
    if (isNew && newAt - newAt % 32u == low) {
      for (var h = 0u; h < HEADS; h++) {
        both[h] = fma(vec2f(newWeights[h]), vec2f(newValue[d], newValue[d + 1u]), both[h]);
      }
    }
    for (var h = 0u; h < HEADS; h++) {
      sums[h * SUMS + task] = both[h];
    }
  }
  workgroupBarrier();
  for (var task = own; task < PAIRS * HEADS; task += THREADS) {
    let h = task / PAIRS;
    let d = 2u * (task % PAIRS);
    var totals = groups[h * GROUPS / 4u];
    for (var i = 1u; i < GROUPS / 4u; i++) {
      totals += groups[h * GROUPS / 4u + i];
    }
    let total = (totals.x + totals.y) + (totals.z + totals.w);
    let at = h * SUMS + task % PAIRS;
    let low = (sums[at] + sums[at + PAIRS]) + (sums[at + 2u * PAIRS] + sums[at + 3u * PAIRS]);
    let high = (sums[at + 4u * PAIRS] + sums[at + 5u * PAIRS]) + (sums[at + 6u * PAIRS] + sums[at + 7u * PAIRS]);
    let sum = low + high;
    let ofHead = row * params.nHeads + head + h;
    if (IS_WHOLE != 0u) {
      let inverse = 1.0 / total;
      let result = params.out_at + ofHead * DIM + d;
      out[result] = sum.x * inverse;
      out[result + 1u] = sum.y * inverse;
    } else {
      let part = params.parts_at + (ofHead * params.columns + chunk) * (DIM + 4u);
      parts[part + d] = sum.x;
      parts[part + d + 1u] = sum.y;
      if (d == 0u) {
        parts[part + DIM] = largests[h];
        parts[part + DIM + 1u] = total;
      }
    }
  }
}

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) own: u32) {
  let head = group.x % (params.nHeads / HEADS) * HEADS;
  let chunk = group.x / (params.nHeads / HEADS);
  let newest = u32(step[params.step_at + group.y * STEP_WORDS + 2u]);
  if (LANES == 0u) {
    attend(group.y, newest, head, chunk, own);
    return;
  }
  for (var at = chunk; at * CHUNK <= newest; at += max(1u, LANES)) {
    attend(group.y, newest, head, at, own);
    workgroupBarrier();
  }
}
