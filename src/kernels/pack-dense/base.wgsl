// Packs rows of values (rows, out.cols) into a dense matrix, from firstRow on, a workgroup a row; with the last
// row of the matrix the padding rows of its stripe too. Layouts and arithmetic: dense-matmul/layout.ts.
// Values: 0 f32, 1 f16, 2 bf16. Types: 0 f32, 1 f16, 2 int8, 3 int4.
struct Params {
  rows: u32,
  out_rows: u32,
  out_cols: u32,
  out_type: u32,
  firstRow: u32,
  valuesType: u32,
  values_at: u32,
  out_data_at: u32,
  out_scales_at: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> values: array<u32>;
@group(0) @binding(2) var<storage, read_write> out_data: array<atomic<u32>>;
@group(0) @binding(3) var<storage, read_write> out_scales: array<u32>;

const THREADS = 256u;
/// Stripes of the matrix that the binding has.
const FIRST = 0u;
const END = 0xffffffffu;
const INFINITY_BITS = 0x7f800000u;
var<workgroup> lanes: array<u32, THREADS>;

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

/// The bits of a float32 of the source; 0 in a padding row.
fn valueBits(row: u32, col: u32) -> u32 {
  if (row >= params.firstRow + params.rows) {
    return 0u;
  }
  let at = (row - params.firstRow) * params.out_cols + col;
  if (params.valuesType == 0u) {
    return values[params.values_at + at];
  }
  let bits = (values[params.values_at + (at >> 1u)] >> ((at & 1u) * 16u)) & 0xffffu;
  if (params.valuesType == 2u) {
    return bits << 16u;
  }
  return bitcast<u32>(half(bits));
}

/// The bits of a / b, positive, rounded to nearest, half to even: 0 and infinity where it ends so.
fn quotientBits(a: u32, b: u32) -> u32 {
  if (a == 0u) {
    return 0u;
  }
  // Subnormals are moved up to have a leading bit like all others.
  let shifts = vec2u(countLeadingZeros(a & 0x7fffffu), countLeadingZeros(b & 0x7fffffu)) - vec2u(8u);
  let isSmall = vec2<bool>(a < 0x800000u, b < 0x800000u);
  let normal = (vec2u(a, b) & vec2u(0x7fffffu)) | vec2u(0x800000u);
  let mantissas = select(normal, vec2u(a, b) << shifts, isSmall);
  let exponents = select(vec2i(vec2u(a, b) >> vec2u(23u)), vec2i(1) - vec2i(shifts), isSmall);
  var exponent = exponents.x - exponents.y + 127;
  var rest = mantissas.x;
  if (rest < mantissas.y) {
    rest <<= 1u;
    exponent -= 1;
  }
  if (exponent > 254) {
    return INFINITY_BITS;
  }
  // 24 bits of the result and one to round by, fewer of a subnormal; what is left is below it.
  let count = 25 + min(exponent - 1, 0);
  if (count < 1) {
    return 0u;
  }
  var digits = 0u;
  for (var i = 0; i < count; i++) {
    digits <<= 1u;
    if (rest >= mantissas.y) {
      rest -= mantissas.y;
      digits |= 1u;
    }
    rest <<= 1u;
  }
  let kept = digits >> 1u;
  let isUp = (digits & 1u) != 0u && (rest != 0u || (kept & 1u) != 0u);
  let head = u32(max(exponent - 1, 0)) << 23u;
  return head + kept + u32(isUp);
}

/// The row's largest magnitude, as bits: infinities and NaN are above all numbers.
fn largestOf(row: u32, own: u32) -> u32 {
  var largest = 0u;
  for (var col = own; col < params.out_cols; col += THREADS) {
    largest = max(largest, valueBits(row, col) & 0x7fffffffu);
  }
  lanes[own] = largest;
  workgroupBarrier();
  for (var width = THREADS / 2u; width > 0u; width /= 2u) {
    if (own < width) {
      lanes[own] = max(lanes[own], lanes[own + width]);
    }
    workgroupBarrier();
  }
  return lanes[0];
}

/// w + 128 of one element.
fn biased(row: u32, col: u32, factor: f32, hasNumbers: bool) -> u32 {
  if (!hasNumbers || col >= params.out_cols) {
    return 128u;
  }
  return u32(128 + i32(clamp(round(bitcast<f32>(valueBits(row, col)) * factor), -127.0, 127.0)));
}

fn packIntegers(row: u32, own: u32) {
  let largest = largestOf(row, own);
  var scale = INFINITY_BITS;
  var factor = 0u;
  if (largest < INFINITY_BITS) {
    factor = quotientBits(0x42fe0000u, max(largest, 1u)); // 127 / largest
    scale = select(quotientBits(largest, 0x42fe0000u), 0u, factor == INFINITY_BITS || largest == 0u);
  }
  let hasNumbers = scale > 0u && scale < INFINITY_BITS;
  if (own == 0u) {
    out_scales[params.out_scales_at + row] = scale;
  }
  let times = bitcast<f32>(select(0u, factor, hasNumbers));
  let stripe = row >> 4u;
  let lane = row & 15u;
  let isInt4 = params.out_type == 3u;
  let perWord = select(4u, 8u, isInt4);
  let groups = (params.out_cols + perWord - 1u) / perWord;
  let plane = ((params.out_rows + 15u) >> 4u) * groups * 16u;
  for (var group = own; group < groups; group += THREADS) {
    let at = params.out_data_at + (stripe * groups + group) * 16u + lane;
    var word = 0u;
    var low = 0u;
    for (var j = 0u; j < perWord; j++) {
      let w = biased(row, group * perWord + j, times, hasNumbers);
      if (isInt4) {
        let shift = (j & 3u) * 8u + (j & 4u);
        word |= (w >> 4u) << shift;
        low |= (w & 15u) << shift;
      } else {
        word |= w << (j * 8u);
      }
    }
    atomicStore(&out_data[at], word);
    if (isInt4) {
      atomicStore(&out_data[at + plane], low);
    }
  }
}

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) own: u32) {
  let row = params.firstRow + group.x;
  if ((row >> 4u) < FIRST || (row >> 4u) >= END) {
    return;
  }
  if (params.out_type >= 2u) {
    packIntegers(row, own);
    return;
  }
  for (var col = own; col < params.out_cols; col += THREADS) {
    let at = ((row >> 4u) * params.out_cols + col) * 16u + (row & 15u);
    let bits = valueBits(row, col);
    if (params.out_type == 0u) {
      atomicStore(&out_data[params.out_data_at + at], bits);
    } else {
      // The other half of the word belongs to another row.
      let shift = (at & 1u) * 16u;
      let word = params.out_data_at + (at >> 1u);
      atomicAnd(&out_data[word], ~(0xffffu << shift));
      atomicOr(&out_data[word], halfBits(bitcast<f32>(bits)) << shift);
    }
  }
}
