// Draws the next token of each row, a workgroup a row; see reference.ts and random.ts. The end of a front of
// the ranking is found by the bits of its logit, eight at a time, in buckets of logits that begin alike.
struct Params {
  rows: u32,
  cols: u32,
  logits_at: u32,
  settings_at: u32,
  step_at: u32,
  index_at: u32,
  tokens_at: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> logits: array<f32>;
@group(0) @binding(2) var<storage, read> settings: array<i32>;
@group(0) @binding(3) var<storage, read> step: array<i32>;
@group(0) @binding(4) var<storage, read> index: array<i32>;
@group(0) @binding(5) var<storage, read_write> tokens: array<i32>;

const THREADS = 256u;
const AHEAD = 8u;
const STEP_WORDS = 4u;
const SETTING_WORDS = 8u;
const TOP_P_ONE = 16777216u;
const KEY_OF_MINUS_INFINITY = 0x007fffffu;
const KEY_OF_INFINITY = 0xff800000u;
const INFINITY_BITS = 0x7f800000u;
const MINUS_INFINITY_BITS = 0xff800000u;
const LAST_TOKEN = 0xffffffffu;

/// 64 bits.
struct Wide {
  high: u32,
  low: u32,
}

/// All keys above `key`, and of those with it the tokens up to `token`.
struct Front {
  key: u32,
  token: u32,
}

var<workgroup> values: array<u32, THREADS>;
var<workgroup> places: array<u32, THREADS>;
// Sums of a bucket's weights in three parts, of 10, 10 and 11 bits; 2^21 of them stay below 2^32.
var<workgroup> buckets: array<atomic<u32>, 768>;
var<workgroup> found: Front;
var<workgroup> wanted: Wide;

fn plus(a: Wide, b: Wide) -> Wide {
  let low = a.low + b.low;
  return Wide(a.high + b.high + select(0u, 1u, low < a.low), low);
}

fn minus(a: Wide, b: Wide) -> Wide {
  return Wide(a.high - b.high - select(0u, 1u, a.low < b.low), a.low - b.low);
}

fn isLess(a: Wide, b: Wide) -> bool {
  return a.high < b.high || (a.high == b.high && a.low < b.low);
}

fn product(a: u32, b: u32) -> Wide {
  let a0 = a & 0xffffu;
  let a1 = a >> 16u;
  let b0 = b & 0xffffu;
  let b1 = b >> 16u;
  let low = a0 * b0;
  let middle = a1 * b0 + (low >> 16u);
  let other = a0 * b1 + (middle & 0xffffu);
  return Wide(a1 * b1 + (middle >> 16u) + (other >> 16u), (other << 16u) | (low & 0xffffu));
}

/// The fraction topP / 2^24 of a sum below 2^53, rounded up.
fn shareOf(total: Wide, topP: u32) -> Wide {
  let high = (total.high << 8u) | (total.low >> 24u);
  let low = plus(product(total.low & 0xffffffu, topP), Wide(0u, TOP_P_ONE - 1u));
  return plus(product(high, topP), Wide(0u, (low.high << 8u) | (low.low >> 24u)));
}

/// Larger logits have larger keys, zeros of both signs the same.
fn keyOf(bits: u32) -> u32 {
  if (bits == 0x80000000u) {
    return 0x80000000u;
  }
  return select(bits | 0x80000000u, ~bits, bits >= 0x80000000u);
}

fn bitsAt(row: u32, token: u32) -> u32 {
  return bitcast<u32>(logits[params.logits_at + row * params.cols + token]);
}

/// The bits of an invocation's next logits, which are on their way together; of the last token behind it.
fn bitsAhead(row: u32, first: u32) -> array<u32, AHEAD> {
  let last = params.cols - 1u;
  return array<u32, AHEAD>(
    bitsAt(row, min(first, last)),
    bitsAt(row, min(first + THREADS, last)),
    bitsAt(row, min(first + 2u * THREADS, last)),
    bitsAt(row, min(first + 3u * THREADS, last)),
    bitsAt(row, min(first + 4u * THREADS, last)),
    bitsAt(row, min(first + 5u * THREADS, last)),
    bitsAt(row, min(first + 6u * THREADS, last)),
    bitsAt(row, min(first + 7u * THREADS, last)),
  );
}

fn isIn(key: u32, token: u32, front: Front) -> bool {
  return key > front.key || (key == front.key && token <= front.token);
}

/// e^x as every backend has it; see float32.ts.
fn power(x: f32) -> f32 {
  let clamped = min(max(x, -87.0), 88.0);
  let n = round(clamped * 1.4426950408889634);
  let r = (clamped - n * 0.693359375) - n * -2.12194440e-4;
  var p = 1.0 / 5040.0;
  p = p * r + 1.0 / 720.0;
  p = p * r + 1.0 / 120.0;
  p = p * r + 1.0 / 24.0;
  p = p * r + 1.0 / 6.0;
  p = p * r + 0.5;
  p = p * r + 1.0;
  p = p * r + 1.0;
  return p * bitcast<f32>(u32(i32(n) + 127) << 23u);
}

fn weightOf(gap: f32) -> u32 {
  return u32(power(-gap) * 1073741824.0);
}

fn bucketSum(bucket: u32) -> Wide {
  let at = bucket * 3u;
  let low = Wide(0u, atomicLoad(&buckets[at]));
  let middle = atomicLoad(&buckets[at + 1u]);
  let high = atomicLoad(&buckets[at + 2u]);
  let sum = plus(low, Wide(middle >> 22u, middle << 10u));
  return plus(sum, Wide(high >> 12u, high << 20u));
}

/// The front of `within` of `count` tokens, or with the share topP of the weights where `count` is 0. All
/// threads call it.
fn findFront(
  row: u32, own: u32, within: Front, count: u32, topP: u32, largest: f32, inverse: f32,
) -> Front {
  var key = 0u;
  var known = 0u;
  for (var shift = 24i; shift >= 0i; shift -= 8i) {
    for (var i = own; i < 768u; i += THREADS) {
      atomicStore(&buckets[i], 0u);
    }
    workgroupBarrier();
    for (var first = own; first < params.cols; first += AHEAD * THREADS) {
      let ahead = bitsAhead(row, first);
      for (var i = 0u; i < AHEAD; i++) {
        let bits = ahead[i];
        let token = first + i * THREADS;
        let its = keyOf(bits);
        if (token >= params.cols || (its & known) != key || !isIn(its, token, within)) {
          continue;
        }
        let at = ((its >> u32(shift)) & 255u) * 3u;
        if (count > 0u) {
          atomicAdd(&buckets[at], 1u);
          continue;
        }
        if (bits == MINUS_INFINITY_BITS) {
          continue;
        }
        let weight = weightOf((largest - bitcast<f32>(bits)) * inverse);
        atomicAdd(&buckets[at], weight & 1023u);
        atomicAdd(&buckets[at + 1u], (weight >> 10u) & 1023u);
        atomicAdd(&buckets[at + 2u], weight >> 20u);
      }
    }
    workgroupBarrier();
    if (own == 0u) {
      if (shift == 24i) {
        wanted = Wide(0u, count);
        if (count == 0u) {
          var total = Wide(0u, 0u);
          for (var bucket = 0u; bucket < 256u; bucket++) {
            total = plus(total, bucketSum(bucket));
          }
          wanted = shareOf(total, topP);
        }
      }
      var bucket = 255u;
      var left = wanted;
      while (bucket > 0u && isLess(bucketSum(bucket), left)) {
        left = minus(left, bucketSum(bucket));
        bucket--;
      }
      wanted = left;
      found.key = key | (bucket << u32(shift));
    }
    key = workgroupUniformLoad(&found).key;
    known |= 255u << u32(shift);
  }
  // Of equal logits the first: threads count theirs in runs of neighbours, one walks to the end.
  let run = (params.cols + THREADS - 1u) / THREADS;
  let end = min((own + 1u) * run, params.cols);
  var equals = 0u;
  for (var token = own * run; token < end; token++) {
    let its = keyOf(bitsAt(row, token));
    if (its == key && isIn(its, token, within)) {
      equals++;
    }
  }
  places[own] = equals;
  workgroupBarrier();
  if (own == 0u) {
    let bits = select(~key, key ^ 0x80000000u, key >= 0x80000000u);
    let weight = select(weightOf((largest - bitcast<f32>(bits)) * inverse), 1u, count > 0u);
    var left = wanted;
    var thread = 0u;
    while (thread < THREADS - 1u) {
      let theirs = product(places[thread], weight);
      if (!isLess(theirs, left)) {
        break;
      }
      left = minus(left, theirs);
      thread++;
    }
    found.token = LAST_TOKEN;
    for (var token = thread * run; token < min((thread + 1u) * run, params.cols); token++) {
      let its = keyOf(bitsAt(row, token));
      if (its != key || !isIn(its, token, within)) {
        continue;
      }
      if (!isLess(Wide(0u, weight), left)) {
        found.token = token;
        break;
      }
      left = minus(left, Wide(0u, weight));
    }
  }
  return workgroupUniformLoad(&found);
}

/// Philox 4x32-10 of (position, sequence, 0, 0): its first two words.
fn positionKey(seedLow: u32, seedHigh: u32, sequence: u32, position: u32) -> vec2u {
  var a = position;
  var b = sequence;
  var c = 0u;
  var d = 0u;
  var low = seedLow;
  var high = seedHigh;
  for (var round = 0u; round < 10u; round++) {
    let x = product(0xd2511f53u, a);
    let y = product(0xcd9e8d57u, c);
    a = y.high ^ b ^ low;
    b = y.low;
    c = x.high ^ d ^ high;
    d = x.low;
    low += 0x9e3779b9u;
    high += 0xbb67ae85u;
  }
  return vec2u(a, b);
}

fn mixed(word: u32) -> u32 {
  var z = (word ^ (word >> 16u)) * 0x21f0aaadu;
  z = (z ^ (z >> 15u)) * 0x735a2d97u;
  return z ^ (z >> 15u);
}

fn exponential(token: u32, key: vec2u) -> f32 {
  let word = mixed(mixed(token ^ key.x) ^ key.y);
  let u = (f32(word >> 1u) + 0.5) * 4.656612873077393e-10;
  let rest = max(1.0 - u, 2.3283064365386963e-10);
  let bits = bitcast<u32>(rest);
  let isHalf = rest >= 0.5;
  let halvings = select(f32(126u - min(bits >> 23u, 126u)), 0.0, isHalf);
  let gap = select(1.0 - bitcast<f32>((bits & 0x7fffffu) | 0x3f000000u), u, isHalf);
  let s = gap / (2.0 - gap);
  let square = s * s;
  var p = 1.0 / 13.0;
  p = p * square + 1.0 / 11.0;
  p = p * square + 1.0 / 9.0;
  p = p * square + 1.0 / 7.0;
  p = p * square + 1.0 / 5.0;
  p = p * square + 1.0 / 3.0;
  p = p * square + 1.0;
  return halvings * 0.6931471805599453 + 2.0 * s * p;
}

/// Of all threads' the best value and the first of its places: the largest, or the smallest.
fn reduce(own: u32, value: u32, place: u32, isLargest: bool) {
  values[own] = value;
  places[own] = place;
  workgroupBarrier();
  for (var width = THREADS / 2u; width > 0u; width /= 2u) {
    if (own < width) {
      let other = values[own + width];
      let isBetter = select((other < values[own]), (other > values[own]), isLargest);
      if (isBetter || (other == values[own] && places[own + width] < places[own])) {
        values[own] = other;
        places[own] = places[own + width];
      }
    }
    workgroupBarrier();
  }
}

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) own: u32) {
  let row = group.x;
  // What is no number counts as the largest logit.
  var largestKey = 0u;
  var place = LAST_TOKEN;
  for (var first = own; first < params.cols; first += AHEAD * THREADS) {
    let ahead = bitsAhead(row, first);
    for (var i = 0u; i < AHEAD; i++) {
      let bits = ahead[i];
      let token = first + i * THREADS;
      let key = select(keyOf(bits), 0xffffffffu, (bits & 0x7fffffffu) > INFINITY_BITS);
      if (key > largestKey && token < params.cols) {
        largestKey = key;
        place = token;
      }
    }
  }
  reduce(own, largestKey, place, true);
  let bestKey = workgroupUniformLoad(&values[0]);
  let best = workgroupUniformLoad(&places[0]);
  let isStrange = bestKey <= KEY_OF_MINUS_INFINITY || bestKey >= KEY_OF_INFINITY;
  let at = params.settings_at + row * SETTING_WORDS;
  let topK = settings[at + 2u];
  let topP = settings[at + 3u];
  if (isStrange || topK == 1) {
    if (own == 0u) {
      tokens[params.tokens_at + row] = select(i32(best), -1, isStrange);
    }
    return;
  }
  let largest = bitcast<f32>(bitsAt(row, best));
  let inverse = bitcast<f32>(settings[at]);
  let widest = bitcast<f32>(settings[at + 1u]);
  var front = Front(KEY_OF_MINUS_INFINITY, LAST_TOKEN);
  if (topK > 0 && u32(topK) < params.cols) {
    front = findFront(row, own, front, u32(topK), 0u, largest, inverse);
  }
  if (topP < i32(TOP_P_ONE)) {
    front = findFront(row, own, front, 0u, u32(max(topP, 1)), largest, inverse);
  }
  let position = step[params.step_at + u32(index[params.index_at + row]) * STEP_WORDS + 2u];
  let key = positionKey(
    u32(settings[at + 4u]), u32(settings[at + 5u]), u32(settings[at + 6u]), u32(position),
  );
  var least = INFINITY_BITS;
  var winner = best;
  for (var first = own; first < params.cols; first += AHEAD * THREADS) {
    let ahead = bitsAhead(row, first);
    for (var i = 0u; i < AHEAD; i++) {
      let bits = ahead[i];
      let token = first + i * THREADS;
      // No arithmetic with infinities, which a GPU need not have.
      let isOut = token >= params.cols || !isIn(keyOf(bits), token, front);
      if (isOut || bits == MINUS_INFINITY_BITS) {
        continue;
      }
      let gap = (largest - bitcast<f32>(bits)) * inverse;
      if (!(gap <= widest)) {
        continue;
      }
      // Positive floats are ordered as their bits are.
      let time = bitcast<u32>(exponential(token, key) * power(gap));
      if (time < least) {
        least = time;
        winner = token;
      }
    }
  }
  reduce(own, least, winner, false);
  if (own == 0u) {
    tokens[params.tokens_at + row] = i32(places[0]);
  }
}
