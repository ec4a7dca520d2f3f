// quantize and ternary-matmul in one, for few rows, with attention's blocks put together before and activated
// after it where these are neighbours: each workgroup norms and quantises the whole row, while
// the weights of its STRIPES stripes of 16 rows are on their way. Bits are those of quantize/tuned.wgsl.
// A vector of weights is the words of four rows in a tile: 16 columns of each. THREADS is a multiple of 32. Loops
// have counts that do not depend on the invocation and nothing in them does either, so that drivers unroll them: an
// invocation without a last vector has zeros in its place.
struct Params {
  /// Rows of the matrix: of what is written, floats from one token to the next.
  matrixRows: u32,
  firstRow: u32,
  /// Behind the last row to be computed.
  endRow: u32,
  /// From a stripe of gates to that of its ups.
  upStripes: u32,
  columns: u32,
  nHeads: u32,
  window: u32,
  eps: f32,
  parts_at: u32,
  weight_at: u32,
  data_at: u32,
  scales_at: u32,
  step_at: u32,
  out_at: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
/// The rows to be normed, or with HAS_PARTS of 1 what split-attention.wgsl leaves of them.
@group(0) @binding(1) var<storage, read> parts: array<vec4f>;
@group(0) @binding(2) var<storage, read> weight: array<vec4f>;
@group(0) @binding(3) var<storage, read> data: array<vec4u>;
@group(0) @binding(4) var<storage, read> scales: array<f32>;
@group(0) @binding(5) var<storage, read> step: array<i32>;
@group(0) @binding(6) var<storage, read_write> out: array<f32>;

const THREADS = 256u;
const COLS = 2560u;
const IS_NORMED = 1u;
const STRIPES = 1u;
/// 0 stores, 1 adds, 2 stores activation(gate) * up, with a stripe of each.
const ENDING = 0u;
/// 0 relu2, 1 silu, 2 gelu.
const ACTIVATION = 0u;
const COUNT = COLS / 4u;
const VECTORS = (COUNT + THREADS - 1u) / THREADS;
const HAS_PARTS = 0u;
/// Of the heads that the parts are of.
const DIM = 128u;
const STEP_WORDS = 4u;
const CHUNK = 256u;
const LEAST = -3.4028234e38;
const GROUPS = 32u;
const RESULTS = STRIPES * 16u;
const PIECES = THREADS / RESULTS;
const QUADS = THREADS * VECTORS / 4u;
const SCALE_FLOOR = 1e-5;
/// Of four vectors each: sums of squares, as bits, and later the row's integers.
var<workgroup> quads: array<vec4u, QUADS>;
var<workgroup> peaks: array<f32, THREADS>;
var<workgroup> squaresOfGroups: array<vec4f, GROUPS / 4u>;
var<workgroup> peaksOfGroups: array<vec4f, GROUPS / 4u>;
var<workgroup> partial: array<vec4i, THREADS * STRIPES>;
var<workgroup> pieces: array<i32, THREADS>;
var<workgroup> results: array<f32, RESULTS>;

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

/// Vector v of a row that is to be normed.
fn input(row: u32, v: u32) -> vec4f {
  if (HAS_PARTS != 0u) {
    return merged(row, v);
  }
  return parts[params.parts_at / 4u + row * COUNT + v];
}

/// A vector's sum of squares.
fn squaresOf(v: vec4f) -> f32 {
  return fma(v.w, v.w, fma(v.z, v.z, fma(v.y, v.y, v.x * v.x)));
}

fn peakOf(v: vec4f) -> f32 {
  let magnitudes = abs(v);
  return max(max(magnitudes.x, magnitudes.y), max(magnitudes.z, magnitudes.w));
}

/// Four bytes of each of four rows, with the same four activations.
fn dots(codes: vec4u, q: u32) -> vec4i {
  return vec4i(
    dot4I8Packed(codes.x, q),
    dot4I8Packed(codes.y, q),
    dot4I8Packed(codes.z, q),
    dot4I8Packed(codes.w, q),
  );
}

/// 2 sqrt(2 / pi), and 0.044715 times it.
const GELU_LINEAR = 1.5957691216;
const GELU_CUBIC = 0.07135481627;

/// g / (1 + e^-z), with z no less than -88. WGSL divides by 2^126 at most, a little below e^88, so that far out
/// e^z is multiplied with instead, in two parts that are both normal numbers.
fn gated(g: f32, z: f32) -> f32 {
  if (z > -44.0) {
    return g / (1.0 + exp(clamp(-z, -87.0, 44.0)));
  }
  return g * 7.7811322411e-20 * exp(max(z, -88.0) + 44.0);
}

fn activated(g: f32) -> f32 {
  switch (ACTIVATION) {
    case 0u: {
      let positive = max(g, 0.0);
      return positive * positive;
    }
    case 1u: {
      return gated(g, g);
    }
    default: {
      return gated(g, g * (GELU_LINEAR + GELU_CUBIC * g * g));
    }
  }
}

/// The matrix's stripe that is the workgroup's i-th.
fn stripeOf(group: u32, i: u32) -> u32 {
  if (ENDING == 2u) {
    return group + i * params.upStripes;
  }
  // The last workgroup may have fewer; it reads the last stripe twice.
  return min(params.firstRow / 16u + group * STRIPES + i, (params.endRow - 1u) / 16u);
}

/// Where an invocation's i-th vector is; those behind the last one count as nothing.
fn vectorAt(own: u32, i: u32) -> u32 {
  if (COUNT % THREADS == 0u) {
    return own + i * THREADS;
  }
  return min(own + i * THREADS, COUNT - 1u);
}

/// The sum of four words of integers.
fn sumOfWords(q: vec4u) -> i32 {
  let ones = 0x01010101u;
  return (dot4I8Packed(q.x, ones) + dot4I8Packed(q.y, ones)) + (dot4I8Packed(q.z, ones) + dot4I8Packed(q.w, ones));
}

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) own: u32) {
  let row = group.y;
  var words: array<vec4u, STRIPES * VECTORS>;
  for (var s = 0u; s < STRIPES; s++) {
    let first = params.data_at / 4u + stripeOf(group.x, s) * COUNT;
    for (var i = 0u; i < VECTORS; i++) {
      words[s * VECTORS + i] = data[first + vectorAt(own, i)];
    }
  }
  // What the end needs is on its way as well.
  let matrixRow = stripeOf(group.x, min(own >> 4u, STRIPES - 1u)) * 16u + (own & 15u);
  let place = params.out_at + row * params.matrixRows + matrixRow;
  let isThere = own < RESULTS && group.x * RESULTS + own + params.firstRow < params.endRow;
  var scale = 0.0;
  var before = 0.0;
  if (own < RESULTS) {
    scale = scales[params.scales_at + matrixRow];
  }
  if (ENDING == 1u && isThere) {
    before = out[place];
  }
  var values: array<vec4f, VECTORS>;
  var peak = 0.0;
  for (var i = 0u; i < VECTORS; i++) {
    let v = vectorAt(own, i);
    let at = own + i * THREADS;
    var value = select(vec4f(), input(row, v), at < COUNT);
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
  for (var i = 0u; i < VECTORS; i++) {
    let at = own + i * THREADS;
    quads[at >> 2u][at & 3u] = pack4xI8Clamp(vec4i(round(values[i] * inverse * factor)));
  }
  if (own < RESULTS) {
    scale *= quotient(largest, 127.0);
  }
  workgroupBarrier();

  // Codes stay at 1, 4 and 16 times their worth: at most 32 * 128 * COLS / 2 in a sum.
  var sum = 0;
  var once: array<vec4i, STRIPES>;
  var fourfold: array<vec4i, STRIPES>;
  var sixteenfold: array<vec4i, STRIPES>;
  for (var i = 0u; i < VECTORS; i++) {
    let q = quads[(own + i * THREADS) >> 2u];
    sum += sumOfWords(q);
    for (var s = 0u; s < STRIPES; s++) {
      let word = words[s * VECTORS + i];
      once[s] += dots(word & vec4u(0x03030303u), q.x);
      fourfold[s] += dots(word & vec4u(0x0c0c0c0cu), q.y);
      sixteenfold[s] += dots(word & vec4u(0x30303030u), q.z);
      sixteenfold[s] += dots((word >> vec4u(2u)) & vec4u(0x30303030u), q.w);
    }
  }
  for (var s = 0u; s < STRIPES; s++) {
    let all = once[s] + (fourfold[s] >> vec4u(2u)) + (sixteenfold[s] >> vec4u(4u));
    partial[s * THREADS + own] = all - vec4i(sum);
  }
  workgroupBarrier();
  // Invocation 4 k + j has rows 4 j to 4 j + 3 of each stripe.
  let r = own % RESULTS;
  let first = (r >> 4u) * THREADS + ((r & 15u) >> 2u) + 4u * (own / RESULTS);
  var piece = 0;
  for (var k = 0u; k < RESULTS / 4u; k++) {
    piece += partial[first + 4u * PIECES * k][r & 3u];
  }
  pieces[own] = piece;
  workgroupBarrier();
  if (own < RESULTS) {
    var dot = 0;
    for (var i = 0u; i < PIECES; i++) {
      dot += pieces[i * RESULTS + own];
    }
    if (ENDING == 2u) {
      results[own] = f32(dot) * scale;
    } else if (isThere) {
      if (ENDING == 1u) {
        out[place] = fma(f32(dot), scale, before);
      } else {
        out[place] = f32(dot) * scale;
      }
    }
  }
  if (ENDING == 2u) {
    workgroupBarrier();
    if (own < 16u) {
      let cols = params.matrixRows / 2u;
      out[params.out_at + row * cols + group.x * 16u + own] = activated(results[own]) * results[own + 16u];
    }
  }
}
