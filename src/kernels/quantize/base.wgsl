// Absmax int8 of each token, after an RMSNorm where a weight is given; a workgroup a row; see reference.ts.
// The scale and the factor are correctly rounded quotients, so that integers are the reference's wherever
// the values are.
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
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> weight: array<f32>;
@group(0) @binding(3) var<storage, read_write> out_q: array<u32>;
@group(0) @binding(4) var<storage, read_write> out_scales: array<f32>;
@group(0) @binding(5) var<storage, read_write> out_sums: array<i32>;

const THREADS = 256u;
const ABSENT = 0xffffffffu;
const SCALE_FLOOR = 1e-5;
var<workgroup> lanes: array<f32, THREADS>;
var<workgroup> integers: array<i32, THREADS>;

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

fn value(row: u32, col: u32, inverse: f32) -> f32 {
  let own = x[params.x_at + row * params.cols + col];
  if (params.weight_at == ABSENT) {
    return own;
  }
  return own * inverse * weight[params.weight_at + col];
}

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) own: u32) {
  let row = group.x;
  var inverse = 1.0;
  if (params.weight_at != ABSENT) {
    var squares = 0.0;
    for (var i = own; i < params.cols; i += THREADS) {
      let v = x[params.x_at + row * params.cols + i];
      squares += v * v;
    }
    inverse = 1.0 / sqrt(sumOf(own, squares) / f32(params.cols) + params.eps);
  }
  var largest = SCALE_FLOOR;
  for (var i = own; i < params.cols; i += THREADS) {
    largest = max(largest, abs(value(row, i, inverse)));
  }
  lanes[own] = largest;
  workgroupBarrier();
  for (var width = THREADS / 2u; width > 0u; width /= 2u) {
    if (own < width) {
      lanes[own] = max(lanes[own], lanes[own + width]);
    }
    workgroupBarrier();
  }
  largest = lanes[0];
  let factor = quotient(127.0, largest);
  let words = ((params.cols + 15u) >> 4u) * 4u;
  var sum = 0;
  for (var word = own; word < words; word += THREADS) {
    var packed = 0u;
    for (var j = 0u; j < 4u; j++) {
      let col = word * 4u + j;
      if (col < params.cols) {
        let q = i32(clamp(round(value(row, col, inverse) * factor), -128.0, 127.0));
        sum += q;
        packed |= (u32(q) & 0xffu) << (j * 8u);
      }
    }
    out_q[params.out_q_at + row * words + word] = packed;
  }
  integers[own] = sum;
  workgroupBarrier();
  for (var width = THREADS / 2u; width > 0u; width /= 2u) {
    if (own < width) {
      integers[own] += integers[own + width];
    }
    workgroupBarrier();
  }
  if (own == 0u) {
    out_scales[params.out_scales_at + row] = quotient(largest, 127.0);
    out_sums[params.out_sums_at + row] = integers[0];
  }
}
