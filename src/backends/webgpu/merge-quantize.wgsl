// merge-attention.wgsl and quantize/tuned.wgsl in one: a workgroup puts together what a row's heads attend to, and
// norms and quantises it. Bits are those of both.
struct Params {
  columns: u32,
  nHeads: u32,
  window: u32,
  eps: f32,
  step_at: u32,
  parts_at: u32,
  weight_at: u32,
  out_q_at: u32,
  out_scales_at: u32,
  out_sums_at: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> step: array<i32>;
@group(0) @binding(2) var<storage, read> parts: array<vec4f>;
@group(0) @binding(3) var<storage, read> weight: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> out_q: array<u32>;
@group(0) @binding(5) var<storage, read_write> out_scales: array<f32>;
@group(0) @binding(6) var<storage, read_write> out_sums: array<i32>;

const THREADS = 256u;
const COLS = 2560u;
const IS_NORMED = 1u;
const COUNT = COLS / 4u;
const VECTORS = (COUNT + THREADS - 1u) / THREADS;
const GROUPS = 32u;
const QUADS = THREADS * VECTORS / 4u;
const DIM = 128u;
const STEP_WORDS = 4u;
const CHUNK = 256u;
const LEAST = -3.4028234e38;
const SCALE_FLOOR = 1e-5;
/// Of four vectors each: sums of squares, as bits.
var<workgroup> quads: array<vec4u, QUADS>;
var<workgroup> peaks: array<f32, THREADS>;
var<workgroup> squaresOfGroups: array<vec4f, GROUPS / 4u>;
var<workgroup> peaksOfGroups: array<vec4f, GROUPS / 4u>;
var<workgroup> total: atomic<i32>;

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

/// Vector v of what a row's heads attend to. A part has DIM values, the largest score and the sum of weights.
fn merged(row: u32, v: u32) -> vec4f {
  let positions = u32(step[params.step_at + row * STEP_WORDS + 2u]) + 1u;
  let begin = select(0u, positions - min(positions, params.window), params.window > 0u) / CHUNK;
  let end = (positions + CHUNK - 1u) / CHUNK;
  let first = (row * params.nHeads + v / (DIM / 4u)) * params.columns;
  var largest = LEAST;
  var total = 0.0;
  var value = vec4f();
  // Four blocks are on their way at a time, but for the last ones.
  for (var chunk = begin; chunk < end; chunk += 4u) {
    var sizes: array<vec4f, 4>;
    var values: array<vec4f, 4>;
    for (var i = 0u; i < 4u; i++) {
      let part = params.parts_at / 4u + (first + min(chunk + i, end - 1u)) * (DIM / 4u + 1u);
      sizes[i] = parts[part + DIM / 4u];
      values[i] = parts[part + v % (DIM / 4u)];
    }
    for (var i = 0u; i < 4u; i++) {
      if (chunk + i < end) {
        let next = max(largest, sizes[i].x);
        let kept = exp(max(largest - next, -87.0));
        let added = exp(max(sizes[i].x - next, -87.0));
        total = fma(total, kept, sizes[i].y * added);
        value = fma(value, vec4f(kept), values[i] * added);
        largest = next;
      }
    }
  }
  return value * (1.0 / total);
}

/// The sum of squares and the largest magnitude over the workgroup. Squares of vectors are added up in an order that
/// depends on their number alone: every fourth of a group's, these, and groups in the same way.
fn measured(own: u32, peak: f32) -> vec2f {
  peaks[own] = peak;
  workgroupBarrier();
  if (own < GROUPS) {
    var four = vec4f();
    for (var i = 0u; i < (QUADS + GROUPS - 1u) / GROUPS; i++) {
      let at = own + i * GROUPS;
      if (QUADS % GROUPS == 0u || at < QUADS) {
        four += bitcast<vec4f>(quads[at]);
      }
    }
    var most = 0.0;
    for (var i = 0u; i < THREADS / GROUPS; i++) {
      most = max(most, peaks[own + i * GROUPS]);
    }
    squaresOfGroups[own >> 2u][own & 3u] = (four.x + four.y) + (four.z + four.w);
    peaksOfGroups[own >> 2u][own & 3u] = most;
  }
  workgroupBarrier();
  var sums = squaresOfGroups[0];
  var most = peaksOfGroups[0];
  for (var i = 1u; i < GROUPS / 4u; i++) {
    sums += squaresOfGroups[i];
    most = max(most, peaksOfGroups[i]);
  }
  return vec2f((sums.x + sums.y) + (sums.z + sums.w), max(max(most.x, most.y), max(most.z, most.w)));
}

/// A vector's sum of squares.
fn squaresOf(v: vec4f) -> f32 {
  return fma(v.w, v.w, fma(v.z, v.z, fma(v.y, v.y, v.x * v.x)));
}

fn peakOf(v: vec4f) -> f32 {
  let magnitudes = abs(v);
  return max(max(magnitudes.x, magnitudes.y), max(magnitudes.z, magnitudes.w));
}

/// Where an invocation's i-th vector is; those behind the last one count as nothing.
fn vectorAt(own: u32, i: u32) -> u32 {
  if (COUNT % THREADS == 0u) {
    return own + i * THREADS;
  }
  return min(own + i * THREADS, COUNT - 1u);
}

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) own: u32) {
  let row = group.x;
  var values: array<vec4f, VECTORS>;
  var peak = 0.0;
  for (var i = 0u; i < VECTORS; i++) {
    let v = vectorAt(own, i);
    let at = own + i * THREADS;
    var value = select(vec4f(), merged(row, v), at < COUNT);
    quads[at >> 2u][at & 3u] = bitcast<u32>(squaresOf(value));
    if (IS_NORMED != 0u) {
      value *= weight[params.weight_at / 4u + v];
    }
    values[i] = value;
    peak = max(peak, peakOf(value));
  }
  let sizes = measured(own, peak);
  var inverse = 1.0;
  if (IS_NORMED != 0u) {
    inverse = 1.0 / sqrt(sizes.x / f32(COLS) + params.eps);
  }
  let largest = max(SCALE_FLOOR, sizes.y * inverse);
  let factor = quotient(127.0, largest);
  var sum = 0;
  for (var i = 0u; i < VECTORS; i++) {
    let q = pack4xI8Clamp(vec4i(round(values[i] * inverse * factor)));
    sum += dot4I8Packed(q, 0x01010101u);
    let at = own + i * THREADS;
    if (at < COUNT) {
      out_q[params.out_q_at + row * COUNT + at] = q;
    }
  }
  atomicAdd(&total, sum);
  workgroupBarrier();
  if (own == 0u) {
    out_scales[params.out_scales_at + row] = quotient(largest, 127.0);
    out_sums[params.out_sums_at + row] = atomicLoad(&total);
  }
}
