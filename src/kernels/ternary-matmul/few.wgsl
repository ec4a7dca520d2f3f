// As matrix.wgsl for up to 16 tokens a workgroup: it has two stripes of 16 rows, and each of its subgroups a
// part of the columns, steps of 64 in turn, so that many weights are on their way at once. ENDING 2 puts
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

const THREADS = 256u;
const COLS = 2560u;
/// 0 stores, 1 adds, 2 stores activation(gate) * up.
const ENDING = 0u;
/// 0 relu2, 1 silu, 2 gelu.
const ACTIVATION = 0u;
const TOKENS = 16u;
const PARTS = THREADS / 32u;
const STEPS = COLS / 64u;
const ROUNDS = (STEPS + PARTS - 1u) / PARTS;
/// Vectors of 16 columns in a row of a step, and one more, so that neighbours lie in other banks.
const STRIDE = 5u;
const AREA = 16u * STRIDE;
/// Results of a stripe that an invocation has.
const RESULTS = (256u + THREADS - 1u) / THREADS;
var<workgroup> tokens: array<vec4u, PARTS * AREA>;
var<workgroup> codes: array<vec4u, PARTS * 2u * AREA>;
var<workgroup> sums: array<i32, PARTS * 256u>;

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

/// The first row of the workgroup's i-th stripe; the last workgroup may have the last one twice.
fn rowOf(group: u32, i: u32) -> u32 {
  if (ENDING == 2u) {
    return group * 16u + i * (params.weights_rows / 2u);
  }
  return min(params.first + (group * 2u + i) * 16u, (params.first + params.count - 1u) / 16u * 16u);
}

/// A vector of a token in a step; nothing behind the last step.
fn tokensOf(source: u32, step: u32) -> vec4u {
  if (STEPS % PARTS == 0u) {
    return x_q[source + step * 4u];
  }
  return select(vec4u(), x_q[source + min(step, STEPS - 1u) * 4u], step < STEPS);
}

/// Puts 16 columns of a row in their place.
fn spread(word: u32, place: u32) {
  codes[place] = (vec4u(word) >> vec4u(0u, 2u, 4u, 6u)) & vec4u(0x03030303u);
}

/// A token's dot product with a row, of all parts.
fn dotOf(at: u32, bias: i32) -> f32 {
  var dot = -bias;
  for (var part = 0u; part < PARTS; part++) {
    dot += sums[part * 256u + at];
  }
  return f32(dot);
}

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) own: u32) {
  let part = own / 32u;
  let lane = own % 32u;
  let firstToken = group.y * TOKENS;
  let row0 = rowOf(group.x, 0u);
  let row1 = rowOf(group.x, 1u);
  let lastToken = params.rows - 1u;
  let sources = params.x_q_at / 4u + lane % 4u;
  let source0 = sources + min(firstToken + lane / 4u, lastToken) * (COLS / 16u);
  let source1 = sources + min(firstToken + lane / 4u + 8u, lastToken) * (COLS / 16u);
  let data0 = params.weights_data_at + row0 / 16u * COLS + lane;
  let data1 = params.weights_data_at + row1 / 16u * COLS + lane;
  let tokenArea = part * AREA;
  let codeArea = tokenArea * 2u;
  let tokenPlace = tokenArea + lane / 4u * STRIDE + lane % 4u;
  let codePlace = codeArea + (lane & 15u) * STRIDE + lane / 16u;
  var vector0 = tokensOf(source0, part);
  var vector1 = tokensOf(source1, part);
  let first = min(part, STEPS - 1u) * 64u;
  var word00 = weights_data[data0 + first];
  var word01 = weights_data[data0 + first + 32u];
  var word10 = weights_data[data1 + first];
  var word11 = weights_data[data1 + first + 32u];
  // What results are scaled by and added to is on its way before it is needed.
  var biases: array<i32, RESULTS>;
  var scales: array<vec2f, RESULTS>;
  var before: array<vec2f, RESULTS>;
  for (var k = 0u; k < RESULTS; k++) {
    let at = min(own + k * THREADS, 255u);
    let token = min(firstToken + at / 16u, lastToken);
    let row = vec2u(row0, row1) + vec2u(at % 16u);
    biases[k] = x_sums[params.x_sums_at + token];
    scales[k] = x_scales[params.x_scales_at + token] *
      vec2f(weights_scales[params.weights_scales_at + row.x], weights_scales[params.weights_scales_at + row.y]);
    if (ENDING == 1u) {
      let end = params.first + params.count - 1u;
      let place = params.out_at + token * params.weights_rows;
      before[k] = vec2f(out[place + min(row.x, end)], out[place + min(row.y, end)]);
    }
  }
  var sum0 = Sum();
  var sum1 = Sum();
  for (var round = 1u; round <= ROUNDS; round++) {
    tokens[tokenPlace] = vector0;
    tokens[tokenPlace + 8u * STRIDE] = vector1;
    spread(word00, codePlace);
    spread(word01, codePlace + 2u);
    spread(word10, codePlace + AREA);
    spread(word11, codePlace + AREA + 2u);
    workgroupBarrier();
    let step = min(round, ROUNDS - 1u) * PARTS + part;
    vector0 = tokensOf(source0, step);
    vector1 = tokensOf(source1, step);
    let next = min(step, STEPS - 1u) * 64u;
    word00 = weights_data[data0 + next];
    word01 = weights_data[data0 + next + 32u];
    word10 = weights_data[data1 + next];
    word11 = weights_data[data1 + next + 32u];
    for (var k = 0u; k < 4u; k += 2u) {
      let a = subgroupMatrixLoad<Left, row_major>(&tokens, tokenArea + k, STRIDE);
      let b = subgroupMatrixLoad<Right, col_major>(&codes, codeArea + k, STRIDE);
      sum0 = subgroupMatrixMultiplyAccumulate(a, b, sum0);
      let c = subgroupMatrixLoad<Right, col_major>(&codes, codeArea + AREA + k, STRIDE);
      sum1 = subgroupMatrixMultiplyAccumulate(a, c, sum1);
    }
    workgroupBarrier();
  }
  var gates: array<f32, RESULTS>;
  for (var i = 0u; i < 2u; i++) {
    switch (i) {
      case 0u: { subgroupMatrixStore<row_major>(&sums, part * 256u, sum0, 16u); }
      default: { subgroupMatrixStore<row_major>(&sums, part * 256u, sum1, 16u); }
    }
    workgroupBarrier();
    for (var k = 0u; k < RESULTS; k++) {
      let at = own + k * THREADS;
      let token = firstToken + at / 16u;
      if (at < 256u && token < params.rows) {
        let dot = dotOf(at, biases[k]);
        let scale = scales[k][i];
        if (ENDING == 2u) {
          if (i == 0u) {
            gates[k] = activated(dot * scale);
          } else {
            let place = token * (params.weights_rows / 2u) + group.x * 16u + at % 16u;
            out[params.out_at + place] = gates[k] * (dot * scale);
          }
        } else {
          let row = params.first + (group.x * 2u + i) * 16u + at % 16u;
          if (row < params.first + params.count) {
            let place = params.out_at + token * params.weights_rows + row;
            if (ENDING == 1u) {
              out[place] = fma(dot, scale, before[k][i]);
            } else {
              out[place] = dot * scale;
            }
          }
        }
      }
    }
    workgroupBarrier();
  }
}
