// As base.wgsl for rows of COLS columns, a multiple of 16, read once. A workgroup has a row; invocation i has
// the vectors i, i + THREADS, ... of it, in the order of normed-product.wgsl, which gives the same bits.
struct Params {
  rows: u32,
  cols: u32,
  eps: f32,
  x_at: u32,
  weight_at: u32,
  out_q_at: u32,
  out_scales_at: u32,
  out_sums_at: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4f>;
@group(0) @binding(2) var<storage, read> weight: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> out_q: array<u32>;
@group(0) @binding(4) var<storage, read_write> out_scales: array<f32>;
@group(0) @binding(5) var<storage, read_write> out_sums: array<i32>;

const THREADS = 256u;
const COLS = 2560u;
const IS_NORMED = 1u;
const COUNT = COLS / 4u;
const VECTORS = (COUNT + THREADS - 1u) / THREADS;
const GROUPS = 32u;
const SCALE_FLOOR = 1e-5;
var<workgroup> squares: array<f32, THREADS>;
var<workgroup> peaks: array<f32, THREADS>;
var<workgroup> squaresOfGroups: array<vec4f, GROUPS / 4u>;
var<workgroup> peaksOfGroups: array<vec4f, GROUPS / 4u>;
var<workgroup> total: atomic<i32>;

/// a / b rounded to nearest, half to even, for results that are normal; 0 where a or b is not, or infinite.
fn quotient(a: f32, b: f32) -> f32 {
  let bits = vec2u(bitcast<u32>(a), bitcast<u32>(b)) & vec2u(0x7fffffffu);
  if (bits.x < 0x800000u || bits.y < 0x800000u || bits.y >= 0x7f800000u) {
    return 0.0;
  }
  let mantissas = (bits & vec2u(0x7fffffu)) | vec2u(0x800000u);
  let isLess = mantissas.x < mantissas.y;
  let exponent = i32(bits.x >> 23u) - i32(bits.y >> 23u) - i32(isLess);
  let shift = 23u + u32(isLess);
  // A float's guess is a few units off; what it leaves is exact in 32 bits, though the products are not.
  var digits = u32(f32(mantissas.x) / f32(mantissas.y) * f32(1u << shift));
  var rest = bitcast<i32>((mantissas.x << shift) - digits * mantissas.y);
  let divisor = i32(mantissas.y);
  for (var i = 0; i < 4; i++) {
    let step = i32(rest >= divisor) - i32(rest < 0);
    digits = bitcast<u32>(bitcast<i32>(digits) + step);
    rest -= step * divisor;
  }
  let isUp = 2 * rest > divisor || (2 * rest == divisor && (digits & 1u) != 0u);
  return bitcast<f32>((u32(exponent + 127) << 23u) + (digits - 0x800000u) + u32(isUp));
}

/// The sum of squares and the largest magnitude over the workgroup.
fn measured(own: u32, square: f32, peak: f32) -> vec2f {
  squares[own] = square;
  peaks[own] = peak;
  workgroupBarrier();
  if (own < GROUPS) {
    var sum = 0.0;
    var most = 0.0;
    for (var i = 0u; i < THREADS / GROUPS; i++) {
      sum += squares[own + i * GROUPS];
      most = max(most, peaks[own + i * GROUPS]);
    }
    squaresOfGroups[own >> 2u][own & 3u] = sum;
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

/// What a vector adds to a sum of squares.
fn withSquares(sum: f32, v: vec4f) -> f32 {
  return fma(v.w, v.w, fma(v.z, v.z, fma(v.y, v.y, fma(v.x, v.x, sum))));
}

fn peakOf(v: vec4f) -> f32 {
  let magnitudes = abs(v);
  return max(max(magnitudes.x, magnitudes.y), max(magnitudes.z, magnitudes.w));
}

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) own: u32) {
  let row = group.x;
  var values: array<vec4f, VECTORS>;
  var square = 0.0;
  var peak = 0.0;
  for (var i = 0u; i < VECTORS; i++) {
    let v = own + i * THREADS;
    if (v < COUNT) {
      let value = x[params.x_at / 4u + row * COUNT + v];
      square = withSquares(square, value);
      values[i] = value;
      if (IS_NORMED != 0u) {
        values[i] = value * weight[params.weight_at / 4u + v];
      }
      peak = max(peak, peakOf(values[i]));
    }
  }
  let sizes = measured(own, square, peak);
  var inverse = 1.0;
  if (IS_NORMED != 0u) {
    inverse = 1.0 / sqrt(sizes.x / f32(COLS) + params.eps);
  }
  let largest = max(SCALE_FLOOR, sizes.y * inverse);
  let factor = quotient(127.0, largest);
  var sum = 0;
  for (var i = 0u; i < VECTORS; i++) {
    let v = own + i * THREADS;
    if (v < COUNT) {
      let q = pack4xI8Clamp(vec4i(round(values[i] * inverse * factor)));
      out_q[params.out_q_at + row * COUNT + v] = q;
      sum += dot4I8Packed(q, 0x01010101u);
    }
  }
  atomicAdd(&total, sum);
  workgroupBarrier();
  if (own == 0u) {
    out_scales[params.out_scales_at + row] = quotient(largest, 127.0);
    out_sums[params.out_sums_at + row] = atomicLoad(&total);
  }
}
