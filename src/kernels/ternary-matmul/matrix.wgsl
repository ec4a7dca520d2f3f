// As tiles.wgsl on int8 matrix units: products of 16 x 32 and 32 x 16 bytes by subgroups of 32. A workgroup has
// 64 tokens and 128 rows, a subgroup 32 of the rows; a step has 64 columns. Sums go through workgroup memory, where
// each lane finds the token and the row of what it scales.
enable subgroups;
enable chromium_experimental_subgroup_matrix;
diagnostic(off, chromium.subgroup_matrix_uniformity);
struct Params {
  rows: u32,
  weights_rows: u32,
  weights_cols: u32,
  weights_packing: u32,
  weights_order: u32,
  first: u32,
  count: u32,
  accumulate: u32,
  x_q_at: u32,
  x_scales_at: u32,
  x_sums_at: u32,
  weights_data_at: u32,
  weights_scales_at: u32,
  out_at: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x_q: array<vec4u>;
@group(0) @binding(2) var<storage, read> x_scales: array<f32>;
@group(0) @binding(3) var<storage, read> x_sums: array<i32>;
@group(0) @binding(4) var<storage, read> weights_data: array<u32>;
@group(0) @binding(5) var<storage, read> weights_scales: array<f32>;
@group(0) @binding(6) var<storage, read_write> out: array<f32>;

const COLS = 2560u;
const THREADS = 128u;
/// Whether gated-activation follows: every other stripe is of ups.
const IS_ACTIVATED = 0u;
/// 0 relu2, 1 silu, 2 gelu.
const ACTIVATION = 0u;
const TOKENS = 64u;
const ROWS = 128u;
/// Columns of a step, and vectors of 16 of them.
const STEP = 64u;
const STEPS = COLS / STEP;
const VECTORS = STEP / 16u;
/// One vector more, so that neighbours lie in other banks.
const STRIDE = VECTORS + 1u;
var<workgroup> tokens: array<vec4u, TOKENS * STRIDE>;
var<workgroup> codes: array<vec4u, ROWS * STRIDE>;
var<workgroup> sums: array<i32, THREADS * 8u>;

alias Left = subgroup_matrix_left<i8, 32, 16>;
alias Right = subgroup_matrix_right<i8, 16, 32>;
alias Sum = subgroup_matrix_result<i32, 16, 16>;

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

/// Where the i-th of an invocation's two vectors of tokens comes from in the first step.
fn tokenAt(firstToken: u32, own: u32, i: u32) -> u32 {
  let v = own + i * THREADS;
  let token = min(firstToken + v / VECTORS, params.rows - 1u);
  return params.x_q_at / 4u + token * (COLS / 16u) + v % VECTORS;
}

/// Where the i-th of its four words of codes does: two stripes' words of a step are 128.
fn codesAt(firstStripe: u32, own: u32, i: u32) -> u32 {
  var stripe = min(firstStripe + 2u * i + own / STEP, (params.first + params.count - 1u) >> 4u);
  if (IS_ACTIVATED != 0u) {
    let ups = params.weights_rows / 32u;
    stripe = min(firstStripe / 2u + i, ups - 1u) + own / STEP * ups;
  }
  return params.weights_data_at + stripe * COLS + own % STEP;
}

/// Unpacks a word to the row and the 16 columns that it has.
fn unpack(word: u32, own: u32, i: u32) {
  let row = (2u * i + own / STEP) * 16u + (own & 15u);
  let bytes = (vec4u(word) >> vec4u(0u, 2u, 4u, 6u)) & vec4u(0x03030303u);
  codes[row * STRIDE + (own >> 4u) % VECTORS] = bytes;
}

@compute @workgroup_size(THREADS)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(local_invocation_index) own: u32,
) {
  let firstToken = group.y * TOKENS;
  let firstRow = params.first + group.x * ROWS;
  let endRow = params.first + params.count;
  let subgroup = own / 32u;
  let rowPart = subgroup * 32u;
  let right = rowPart * STRIDE;
  let place = own / VECTORS * STRIDE + own % VECTORS;
  let next = THREADS / VECTORS * STRIDE;

  let q0At = tokenAt(firstToken, own, 0u);
  let q1At = tokenAt(firstToken, own, 1u);
  let w0At = codesAt(firstRow >> 4u, own, 0u);
  let w1At = codesAt(firstRow >> 4u, own, 1u);
  let w2At = codesAt(firstRow >> 4u, own, 2u);
  let w3At = codesAt(firstRow >> 4u, own, 3u);
  var q0 = x_q[q0At];
  var q1 = x_q[q1At];
  var w0 = weights_data[w0At];
  var w1 = weights_data[w1At];
  var w2 = weights_data[w2At];
  var w3 = weights_data[w3At];
  var s00 = Sum();
  var s01 = Sum();
  var s10 = Sum();
  var s11 = Sum();
  var s20 = Sum();
  var s21 = Sum();
  var s30 = Sum();
  var s31 = Sum();
  for (var step = 0u; step < STEPS; step++) {
    tokens[place] = q0;
    tokens[place + next] = q1;
    unpack(w0, own, 0u);
    unpack(w1, own, 1u);
    unpack(w2, own, 2u);
    unpack(w3, own, 3u);
    workgroupBarrier();
    let ahead = min(step + 1u, STEPS - 1u);
    q0 = x_q[q0At + ahead * VECTORS];
    q1 = x_q[q1At + ahead * VECTORS];
    w0 = weights_data[w0At + ahead * STEP];
    w1 = weights_data[w1At + ahead * STEP];
    w2 = weights_data[w2At + ahead * STEP];
    w3 = weights_data[w3At + ahead * STEP];
    for (var k = 0u; k < VECTORS; k += 2u) {
      let b0 = subgroupMatrixLoad<Right, col_major>(&codes, right + k, STRIDE);
      let b1 = subgroupMatrixLoad<Right, col_major>(&codes, right + 16u * STRIDE + k, STRIDE);
      let a0 = subgroupMatrixLoad<Left, row_major>(&tokens, k, STRIDE);
      s00 = subgroupMatrixMultiplyAccumulate(a0, b0, s00);
      s01 = subgroupMatrixMultiplyAccumulate(a0, b1, s01);
      let a1 = subgroupMatrixLoad<Left, row_major>(&tokens, 16u * STRIDE + k, STRIDE);
      s10 = subgroupMatrixMultiplyAccumulate(a1, b0, s10);
      s11 = subgroupMatrixMultiplyAccumulate(a1, b1, s11);
      let a2 = subgroupMatrixLoad<Left, row_major>(&tokens, 32u * STRIDE + k, STRIDE);
      s20 = subgroupMatrixMultiplyAccumulate(a2, b0, s20);
      s21 = subgroupMatrixMultiplyAccumulate(a2, b1, s21);
      let a3 = subgroupMatrixLoad<Left, row_major>(&tokens, 48u * STRIDE + k, STRIDE);
      s30 = subgroupMatrixMultiplyAccumulate(a3, b0, s30);
      s31 = subgroupMatrixMultiplyAccumulate(a3, b1, s31);
    }
    workgroupBarrier();
  }
  // With an activation the sums of gates, of even parts, wait for those of ups.
  var gates: array<f32, 8>;
  for (var part = 0u; part < 8u; part++) {
    let at = subgroup * 256u;
    switch (part) {
      case 0u: { subgroupMatrixStore<row_major>(&sums, at, s00, 16u); }
      case 1u: { subgroupMatrixStore<row_major>(&sums, at, s01, 16u); }
      case 2u: { subgroupMatrixStore<row_major>(&sums, at, s10, 16u); }
      case 3u: { subgroupMatrixStore<row_major>(&sums, at, s11, 16u); }
      case 4u: { subgroupMatrixStore<row_major>(&sums, at, s20, 16u); }
      case 5u: { subgroupMatrixStore<row_major>(&sums, at, s21, 16u); }
      case 6u: { subgroupMatrixStore<row_major>(&sums, at, s30, 16u); }
      default: { subgroupMatrixStore<row_major>(&sums, at, s31, 16u); }
    }
    workgroupBarrier();
    let lane = own % 32u;
    let row = firstRow + rowPart + (part & 1u) * 16u + (lane & 15u);
    let firstOf = firstToken + (part >> 1u) * 16u + (lane >> 4u);
    // All that is added to is on its way before anything is stored: a driver keeps loads behind stores.
    var before: array<f32, 8>;
    if (params.accumulate != 0u) {
      for (var i = 0u; i < 8u; i++) {
        let token = min(firstOf + 2u * i, params.rows - 1u);
        before[i] = out[params.out_at + token * params.weights_rows + min(row, endRow - 1u)];
      }
    }
    for (var i = 0u; i < 8u; i++) {
      let token = firstOf + 2u * i;
      let sum = sums[at + (lane >> 4u) * 16u + i * 32u + (lane & 15u)];
      if (IS_ACTIVATED != 0u) {
        let half = params.weights_rows / 2u;
        let col = (firstRow + rowPart) / 2u + (lane & 15u);
        if (token < params.rows && col < half) {
          let scale = x_scales[params.x_scales_at + token];
          let own_row = params.weights_scales_at + col + (part & 1u) * half;
          let value = f32(sum - x_sums[params.x_sums_at + token]) * (scale * weights_scales[own_row]);
          if ((part & 1u) == 0u) {
            gates[i] = value;
          } else {
            out[params.out_at + token * half + col] = activated(gates[i]) * value;
          }
        }
      } else if (token < params.rows && row < endRow) {
        let dot = f32(sum - x_sums[params.x_sums_at + token]);
        let scale = x_scales[params.x_scales_at + token] * weights_scales[params.weights_scales_at + row];
        let place = params.out_at + token * params.weights_rows + row;
        if (params.accumulate != 0u) {
          out[place] = fma(dot, scale, before[i]);
        } else {
          out[place] = dot * scale;
        }
      }
    }
    workgroupBarrier();
  }
}
