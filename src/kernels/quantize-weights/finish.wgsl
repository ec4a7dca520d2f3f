// Ternary codes of latent weights, an invocation a word, with one scale from the sums that base.wgsl has left.
// Modes: 0 absmean, 1 sign. Layout: ternary/pack.ts.
struct Params {
  rows: u32,
  out_rows: u32,
  out_cols: u32,
  out_packing: u32,
  out_order: u32,
  mode: u32,
  latents_at: u32,
  out_data_at: u32,
  out_scales_at: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> latents: array<f32>;
@group(0) @binding(2) var<storage, read_write> out_data: array<u32>;
@group(0) @binding(3) var<storage, read_write> out_scales: array<f32>;
@group(0) @binding(4) var<storage, read_write> between: array<f32>;

const THREADS = 256u;
const SCALE_FLOOR = 1e-5;
var<workgroup> pairs: array<vec4f, THREADS>;
var<workgroup> means: vec2f;

/// The sum of two numbers that are two floats each, the second what the first has lost (Knuth's two-sum).
fn sumOfPairs(a: vec2f, b: vec2f) -> vec2f {
  let sum = a.x + b.x;
  let second = sum - a.x;
  return vec2f(sum, a.y + b.y + ((a.x - (sum - second)) + (b.x - second)));
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

/// A number in two floats over a count, rounded to nearest: by long division of 63 bits.
fn meanOf(sum: vec2f, count: u32) -> f32 {
  let high = sum.x + sum.y;
  let magnitude = abs(high);
  let exponent = i32(bitcast<u32>(magnitude) >> 23u);
  if (exponent < 55 || exponent == 255) {
    return 0.0;
  }
  let low = (sum.y - (high - sum.x)) * sign(high);
  let mantissa = (bitcast<u32>(magnitude) & 0x7fffffu) | 0x800000u;
  // Both in units of 2^-39 of the mantissa's last place.
  let rest = i32(clamp(ldexp(low, 182 - exponent), -2147483520.0, 2147483520.0));
  let numerator = bitcast<u32>(bitcast<i32>(mantissa << 7u) + (rest >> 25u));
  var more = bitcast<u32>(rest) << 7u;
  var digits = vec2u(numerator / count, 0u);
  var left = numerator % count;
  for (var i = 0u; i < 32u; i++) {
    left = (left << 1u) | (more >> 31u);
    more <<= 1u;
    let fits = left >= count;
    left -= select(0u, count, fits);
    digits.y = (digits.y << 1u) | u32(fits);
  }
  var isMore = left != 0u;
  var shift = exponent - 39;
  if (digits.x != 0u) {
    let places = 32u - countLeadingZeros(digits.x);
    isMore = isMore || (digits.y & ((1u << places) - 1u)) != 0u;
    digits.y = (digits.x << (32u - places)) | (digits.y >> places);
    shift += i32(places);
  }
  let places = 8u - countLeadingZeros(digits.y);
  let tail = digits.y & ((1u << places) - 1u);
  let middle = 1u << (places - 1u);
  let rounded = digits.y >> places;
  let isUp = tail > middle || (tail == middle && (isMore || (rounded & 1u) != 0u));
  shift += i32(places);
  if (shift <= 0) {
    return 0.0;
  }
  let bits = (u32(shift) << 23u) + (rounded - 0x800000u) + u32(isUp);
  return bitcast<f32>(bits) * sign(high);
}

/// w + 1 of a weight.
fn codeOf(w: f32) -> u32 {
  if (params.mode == 0u) {
    let scaled = w * means.y;
    return 1u + u32(scaled > 0.5) - u32(scaled < -0.5);
  }
  let above = w - means.y;
  return 1u + u32(above > 0.0) - u32(above < 0.0);
}

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) own: u32) {
  let cols = params.out_cols;
  let stripes = (params.rows + 15u) >> 4u;
  var sums = vec4f();
  for (var i = own; i < stripes; i += THREADS) {
    let part = vec4f(between[i * 4u], between[i * 4u + 1u], between[i * 4u + 2u], between[i * 4u + 3u]);
    sums = vec4f(sumOfPairs(sums.xy, part.xy), sumOfPairs(sums.zw, part.zw));
  }
  pairs[own] = sums;
  workgroupBarrier();
  for (var width = THREADS / 2u; width > 0u; width /= 2u) {
    if (own < width) {
      let a = pairs[own];
      let b = pairs[own + width];
      pairs[own] = vec4f(sumOfPairs(a.xy, b.xy), sumOfPairs(a.zw, b.zw));
    }
    workgroupBarrier();
  }
  if (own == 0u) {
    let count = params.rows * cols;
    let magnitude = meanOf(pairs[0].xy, count);
    if (params.mode == 0u) {
      let scale = max(magnitude, SCALE_FLOOR);
      means = vec2f(scale, quotient(1.0, scale));
    } else {
      means = vec2f(magnitude, meanOf(pairs[0].zw, count));
    }
  }
  workgroupBarrier();
  let i = (group.y * 32768u + group.x) * THREADS + own;
  let tiles = (cols + 15u) >> 4u;
  if (i >= stripes * 16u * tiles) {
    return;
  }
  let tile = (i >> 4u) % tiles;
  let row = (i >> 4u) / tiles * 16u + (i & 15u);
  var word = 0u;
  for (var j = 0u; j < 16u; j++) {
    let col = tile * 16u + j;
    var stored = 1u;
    if (row < params.rows && col < cols) {
      stored = codeOf(latents[params.latents_at + row * cols + col]);
    }
    word |= stored << (8u * (j & 3u) + 2u * (j >> 2u));
  }
  out_data[params.out_data_at + i] = word;
  if (tile == 0u) {
    out_scales[params.out_scales_at + row] = means.x;
  }
}
