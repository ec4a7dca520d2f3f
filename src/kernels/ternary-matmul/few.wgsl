// As matrix.wgsl for up to 16 tokens a workgroup: it has two stripes of 16 rows, and each of its subgroups a
// part of the columns, steps of 32 in turn, so that many weights are on their way at once. ENDING 2 puts
// gated-activation behind it: a stripe of gates, and that of its ups.
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

const THREADS = 128u;
const COLS = 2560u;
const STRIPES = 2u;
/// 0 stores, 1 adds, 2 stores activation(gate) * up.
const ENDING = 0u;
/// 0 relu2, 1 silu, 2 gelu.
const ACTIVATION = 0u;
const TOKENS = 16u;
const PARTS = THREADS / 32u;
const STEPS = COLS / 32u;
/// Steps of a part from one barrier to the next, which are on their way together, and how often.
const DEPTH = 4u;
const ROUNDS = (STEPS + PARTS * DEPTH - 1u) / (PARTS * DEPTH);
/// Vectors of 16 columns in a row of a step, and one more, so that neighbours lie in other banks.
const STRIDE = 3u;
const AREA = 16u * STRIDE;
var<workgroup> tokens: array<vec4u, PARTS * DEPTH * AREA>;
var<workgroup> codes: array<vec4u, PARTS * DEPTH * STRIPES * AREA>;
var<workgroup> sums: array<i32, PARTS * STRIPES * 256u>;

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

/// The matrix's stripe that is the workgroup's i-th; the last workgroup may read the last one twice.
fn stripeAt(group: u32, i: u32) -> u32 {
  if (ENDING == 2u) {
    return group + i * (params.weights_rows / 32u);
  }
  return min(params.first / 16u + group * STRIPES + i, (params.first + params.count - 1u) / 16u);
}

/// An invocation's vector of tokens in a step; nothing behind the last step.
fn tokensOf(source: u32, step: u32) -> vec4u {
  return select(vec4u(), x_q[source + min(step, STEPS - 1u) * 2u], step < STEPS);
}

/// Puts 16 columns of a row in their place.
fn spread(word: u32, place: u32) {
  codes[place] = (vec4u(word) >> vec4u(0u, 2u, 4u, 6u)) & vec4u(0x03030303u);
}

/// A token's dot product with a row of the i-th stripe, of all parts.
fn dotOf(at: u32, i: u32, token: u32) -> f32 {
  var dot = -x_sums[params.x_sums_at + token];
  for (var part = 0u; part < PARTS; part++) {
    dot += sums[(part * STRIPES + i) * 256u + at];
  }
  return f32(dot);
}

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) own: u32) {
  let part = own / 32u;
  let lane = own % 32u;
  let firstToken = group.y * TOKENS;
  let source = params.x_q_at / 4u + min(firstToken + lane / 2u, params.rows - 1u) * (COLS / 16u) + lane % 2u;
  let data = params.weights_data_at + lane;
  let data0 = data + stripeAt(group.x, 0u) * COLS;
  let data1 = data + stripeAt(group.x, STRIPES - 1u) * COLS;
  let tokenPlace = part * DEPTH * AREA;
  let codePlace = tokenPlace * STRIPES;
  let place = (lane & 15u) * STRIDE + lane / 16u;
  var vectors: array<vec4u, DEPTH>;
  var words0: array<u32, DEPTH>;
  var words1: array<u32, DEPTH>;
  for (var d = 0u; d < DEPTH; d++) {
    let step = d * PARTS + part;
    vectors[d] = tokensOf(source, step);
    words0[d] = weights_data[data0 + min(step, STEPS - 1u) * 32u];
    words1[d] = weights_data[data1 + min(step, STEPS - 1u) * 32u];
  }
  var sum0 = Sum();
  var sum1 = Sum();
  for (var round = 1u; round <= ROUNDS; round++) {
    for (var d = 0u; d < DEPTH; d++) {
      tokens[tokenPlace + d * AREA + lane / 2u * STRIDE + lane % 2u] = vectors[d];
      spread(words0[d], codePlace + d * STRIPES * AREA + place);
      spread(words1[d], codePlace + (d * STRIPES + 1u) * AREA + place);
    }
    workgroupBarrier();
    for (var d = 0u; d < DEPTH; d++) {
      let step = (round * DEPTH + d) * PARTS + part;
      vectors[d] = tokensOf(source, step);
      words0[d] = weights_data[data0 + min(step, STEPS - 1u) * 32u];
      words1[d] = weights_data[data1 + min(step, STEPS - 1u) * 32u];
    }
    for (var d = 0u; d < DEPTH; d++) {
      let a = subgroupMatrixLoad<Left, row_major>(&tokens, tokenPlace + d * AREA, STRIDE);
      let b = subgroupMatrixLoad<Right, col_major>(&codes, codePlace + d * STRIPES * AREA, STRIDE);
      sum0 = subgroupMatrixMultiplyAccumulate(a, b, sum0);
      let c = subgroupMatrixLoad<Right, col_major>(&codes, codePlace + (d * STRIPES + 1u) * AREA, STRIDE);
      sum1 = subgroupMatrixMultiplyAccumulate(a, c, sum1);
    }
    workgroupBarrier();
  }
  subgroupMatrixStore<row_major>(&sums, part * STRIPES * 256u, sum0, 16u);
  subgroupMatrixStore<row_major>(&sums, (part * STRIPES + 1u) * 256u, sum1, 16u);
  workgroupBarrier();
  for (var at = own; at < 256u; at += THREADS) {
    let token = firstToken + at / 16u;
    if (token >= params.rows) {
      return;
    }
    let tokenScale = x_scales[params.x_scales_at + token];
    if (ENDING == 2u) {
      let gateRow = group.x * 16u + at % 16u;
      let upRow = gateRow + params.weights_rows / 2u;
      let gate = dotOf(at, 0u, token) * (tokenScale * weights_scales[params.weights_scales_at + gateRow]);
      let up = dotOf(at, 1u, token) * (tokenScale * weights_scales[params.weights_scales_at + upRow]);
      out[params.out_at + token * (params.weights_rows / 2u) + gateRow] = activated(gate) * up;
    } else {
      for (var i = 0u; i < STRIPES; i++) {
        let row = params.first + (group.x * STRIPES + i) * 16u + at % 16u;
        if (row < params.first + params.count) {
          let scale = tokenScale * weights_scales[params.weights_scales_at + row];
          let place = params.out_at + token * params.weights_rows + row;
          let dot = dotOf(at, i, token);
          if (ENDING == 1u) {
            out[place] = fma(dot, scale, out[place]);
          } else {
            out[place] = dot * scale;
          }
        }
      }
    }
  }
}
