// Tokens as int8 dense matrices multiply them (dense-matmul/reference.ts): a workgroup has a row of COLS columns and
// makes 16-bit integers of it, their high bytes, then their low ones, and behind them what one of them is worth.
struct Params {
  x_at: u32,
  split_at: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> split: array<u32>;

const THREADS = 256u;
const COLS = 2560u;
const COUNT = COLS / 4u;
/// Words of a token, multiples of 16 bytes.
const TOKEN = (2u * COUNT + 4u) & ~3u;
const VECTORS = (COUNT + THREADS - 1u) / THREADS;
const SCALE_FLOOR = 1e-5;
const MAX_ACTIVATION = 32512.0;
var<workgroup> lanes: array<f32, THREADS>;
var<workgroup> eights: array<vec4f, 2>;

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

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) own: u32) {
  let first = params.x_at / 4u + group.x * COUNT;
  var values: array<vec4f, VECTORS>;
  var most = vec4f();
  for (var i = 0u; i < VECTORS; i++) {
    values[i] = x[first + min(own + i * THREADS, COUNT - 1u)];
    most = max(most, abs(values[i]));
  }
  lanes[own] = max(max(most.x, most.y), max(most.z, most.w));
  workgroupBarrier();
  if (own < 8u) {
    var peak = 0.0;
    for (var i = 0u; i < THREADS; i += 8u) {
      peak = max(peak, lanes[i + own]);
    }
    eights[own >> 2u][own & 3u] = peak;
  }
  workgroupBarrier();
  let four = max(eights[0], eights[1]);
  let largest = max(SCALE_FLOOR, max(max(four.x, four.y), max(four.z, four.w)));
  let factor = quotient(MAX_ACTIVATION, largest);
  let place = group.x * TOKEN;
  for (var i = 0u; i < VECTORS; i++) {
    let at = own + i * THREADS;
    let whole = vec4i(clamp(round(values[i] * factor), vec4f(-MAX_ACTIVATION), vec4f(MAX_ACTIVATION)));
    let high = (whole + vec4i(128)) >> vec4u(8u);
    if (at < COUNT) {
      split[place + at] = pack4xI8(high);
      split[place + COUNT + at] = pack4xI8(whole - high * 256);
    }
  }
  if (own == 0u) {
    split[place + 2u * COUNT] = bitcast<u32>(quotient(largest, MAX_ACTIVATION));
  }
}
