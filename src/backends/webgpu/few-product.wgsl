// ternary-matmul of up to 16 tokens a workgroup on int8 matrices. It has two stripes of 16 rows, and each of its
// subgroups a part of the columns, steps of 64 in turn, with those of DEPTH rounds on their way. ENDING 2 puts
// gated-activation behind it: a stripe of gates, and that of its ups; ENDING 3 rope-cache, for floats: stripes half a
// head apart, which are turned together.
enable subgroups;
enable chromium_experimental_subgroup_matrix;
diagnostic(off, chromium.subgroup_matrix_uniformity);
struct Params {
  rows: u32,
  weightRows: u32,
  first: u32,
  count: u32,
  nHeads: u32,
  kvHeads: u32,
  columns: u32,
  x_q_at: u32,
  x_scales_at: u32,
  x_sums_at: u32,
  data_at: u32,
  scales_at: u32,
  out_at: u32,
  step_at: u32,
  rotations_at: u32,
  table_at: u32,
  keys_at: u32,
  values_at: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x_q: array<vec4u>;
@group(0) @binding(2) var<storage, read> x_scales: array<f32>;
@group(0) @binding(3) var<storage, read> x_sums: array<i32>;
@group(0) @binding(4) var<storage, read> data: array<u32>;
@group(0) @binding(5) var<storage, read> scales: array<f32>;
@group(0) @binding(6) var<storage, read_write> out: array<f32>;
@group(0) @binding(7) var<storage, read> step: array<i32>;
@group(0) @binding(8) var<storage, read> rotations: array<f32>;
@group(0) @binding(9) var<storage, read> table: array<i32>;
@group(0) @binding(10) var<storage, read_write> cache_keys: array<atomic<u32>>;
@group(0) @binding(11) var<storage, read_write> cache_values: array<atomic<u32>>;

const THREADS = 256u;
const COLS = 2560u;
/// 0 stores, 1 adds, 2 stores activation(gate) * up, 3 turns heads and keeps keys and values.
const ENDING = 0u;
/// 0 relu2, 1 silu, 2 gelu.
const ACTIVATION = 0u;
/// 1 or 4.
const DEPTH = 1u;
const DIM = 128u;
/// Of the cache: 0 f32, 1 f16.
const TYPE = 1u;
const STEP_WORDS = 4u;
const KEY_BLOCK = 16u;
const CHUNK = 256u;
const TOKENS = 16u;
const PARTS = THREADS / 32u;
const STEPS = COLS / 64u;
const ROUNDS = (STEPS + PARTS - 1u) / PARTS;
/// Vectors of 16 columns in a row of a step, and one more, so that neighbours lie in other banks.
const STRIDE = 5u;
const AREA = 16u * STRIDE;
const PAIRS_OF_HEAD = max(1u, DIM / 32u);
/// Results of a stripe that an invocation has.
const RESULTS = (256u + THREADS - 1u) / THREADS;
var<workgroup> tokens: array<vec4u, PARTS * AREA>;
/// Later the sums of a stripe of each part, 256 integers.
var<workgroup> codes: array<vec4u, PARTS * 2u * AREA>;

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
    return group * 16u + i * (params.weightRows / 2u);
  }
  if (ENDING == 3u) {
    return headOf(group) * DIM + dimensionOf(group) + i * (DIM / 2u);
  }
  return min(params.first + (group * 2u + i) * 16u, (params.first + params.count - 1u) / 16u * 16u);
}

/// Of a workgroup: it has 16 of the lower dimensions, and the upper ones that are turned with them.
fn headOf(group: u32) -> u32 {
  return group / PAIRS_OF_HEAD;
}

fn dimensionOf(group: u32) -> u32 {
  return group % PAIRS_OF_HEAD * 16u;
}

/// A vector of a token in a step; nothing behind the last step.
fn tokensOf(source: u32, step: u32) -> vec4u {
  let vector = x_q[source + min(step, STEPS - 1u) * 4u];
  if (STEPS % (PARTS * DEPTH) == 0u) {
    return vector;
  }
  return select(vec4u(), vector, step < STEPS);
}

/// What a subgroup has of a step: two vectors of tokens, and words of both stripes.
struct Step {
  low: vec4u,
  high: vec4u,
  words: vec4u,
}

/// @param tokens two tokens' vectors of a step 0
/// @param stripes both stripes' words of it
fn stepOf(tokens: vec2u, stripes: vec2u, step: u32) -> Step {
  let at = stripes + vec2u(min(step, STEPS - 1u) * 64u);
  let words = vec4u(data[at.x], data[at.x + 32u], data[at.y], data[at.y + 32u]);
  return Step(tokensOf(tokens.x, step), tokensOf(tokens.y, step), words);
}

/// Puts 16 columns of a row in their place.
fn spread(word: u32, place: u32) {
  codes[place] = (vec4u(word) >> vec4u(0u, 2u, 4u, 6u)) & vec4u(0x03030303u);
}

fn putStep(step: Step, tokenPlace: u32, codePlace: u32) {
  tokens[tokenPlace] = step.low;
  tokens[tokenPlace + 8u * STRIDE] = step.high;
  spread(step.words.x, codePlace);
  spread(step.words.y, codePlace + 2u);
  spread(step.words.z, codePlace + AREA);
  spread(step.words.w, codePlace + AREA + 2u);
}

/// A token's dot product with a row, of all parts.
fn dotOf(at: u32, bias: i32) -> f32 {
  var dot = -bias;
  for (var part = 0u; part < PARTS; part++) {
    dot += bitcast<i32>(codes[part * 64u + at / 4u][at % 4u]);
  }
  return f32(dot);
}

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

/// Replaces a key or a value; of halves two lie in a word, and others may write the second one now.
fn keep(isKey: bool, at: u32, x: f32) {
  let word = at / (1u + TYPE);
  let shift = at % (1u + TYPE) * 16u;
  let mask = select(0xffffffffu, 0xffffu << shift, TYPE == 1u);
  let bits = select(bitcast<u32>(x), halfBits(x) << shift, TYPE == 1u);
  if (isKey) {
    atomicAnd(&cache_keys[params.keys_at + word], ~mask);
    atomicOr(&cache_keys[params.keys_at + word], bits);
  } else {
    atomicAnd(&cache_values[params.values_at + word], ~mask);
    atomicOr(&cache_values[params.values_at + word], bits);
  }
}

/// Where a position's keys and values begin in the cache, and by which angles dimension d is turned there.
struct Turn {
  home: u32,
  lane: u32,
  cos: f32,
  sin: f32,
}

fn turnOf(token: u32, head: u32, d: u32) -> Turn {
  let entry = params.step_at + token * STEP_WORDS;
  let position = u32(step[entry + 2u]);
  let angle = params.rotations_at + position * DIM + d;
  let block = u32(table[params.table_at + u32(step[entry + 1u]) * params.columns + position / CHUNK]);
  let isKey = head < params.nHeads + params.kvHeads;
  let kvHead = max(head, params.nHeads) - params.nHeads - select(params.kvHeads, 0u, isKey);
  let home = (block * params.kvHeads + kvHead) * CHUNK + position % CHUNK;
  return Turn(home, position % KEY_BLOCK, rotations[angle], rotations[angle + DIM / 2u]);
}

/// Turns dimensions d and d + DIM / 2 of a head, and writes them where they belong.
fn turn(token: u32, head: u32, d: u32, pair: vec2f, by: Turn) {
  let isKey = head < params.nHeads + params.kvHeads;
  let turned = vec2f(
    fma(pair.x, by.cos, -(pair.y * by.sin)),
    fma(pair.y, by.cos, pair.x * by.sin),
  );
  let kept = select(pair, turned, isKey);
  let place = params.out_at + token * params.weightRows + head * DIM + d;
  out[place] = kept.x;
  out[place + DIM / 2u] = kept.y;
  if (head < params.nHeads) {
    return;
  }
  if (isKey) {
    let first = (by.home - by.lane) * DIM + by.lane;
    keep(true, first + d * KEY_BLOCK, kept.x);
    keep(true, first + (d + DIM / 2u) * KEY_BLOCK, kept.y);
  } else {
    keep(false, by.home * DIM + d, kept.x);
    keep(false, by.home * DIM + d + DIM / 2u, kept.y);
  }
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
  let token = vec2u(firstToken + lane / 4u) + vec2u(0u, 8u);
  let source = vec2u(sources) + min(token, vec2u(lastToken)) * (COLS / 16u);
  let stripes = vec2u(params.data_at + lane) + vec2u(row0, row1) / 16u * COLS;
  let tokenArea = part * AREA;
  let codeArea = tokenArea * 2u;
  let tokenPlace = tokenArea + lane / 4u * STRIDE + lane % 4u;
  let codePlace = codeArea + (lane & 15u) * STRIDE + lane / 16u;
  var a = stepOf(source, stripes, part);
  var b = stepOf(source, stripes, min(1u, DEPTH - 1u) * PARTS + part);
  var c = stepOf(source, stripes, min(2u, DEPTH - 1u) * PARTS + part);
  var d = stepOf(source, stripes, min(3u, DEPTH - 1u) * PARTS + part);
  // What results are scaled by and added to is on its way before it is needed.
  var biases: array<i32, RESULTS>;
  var units: array<vec2f, RESULTS>;
  var before: array<vec2f, RESULTS>;
  var turns: array<Turn, RESULTS>;
  for (var k = 0u; k < RESULTS; k++) {
    let at = min(own + k * THREADS, 255u);
    let token = min(firstToken + at / 16u, lastToken);
    let row = vec2u(row0, row1) + vec2u(at % 16u);
    biases[k] = x_sums[params.x_sums_at + token];
    units[k] = x_scales[params.x_scales_at + token] *
      vec2f(scales[params.scales_at + row.x], scales[params.scales_at + row.y]);
    if (ENDING == 3u) {
      turns[k] = turnOf(token, headOf(group.x), dimensionOf(group.x) + at % 16u);
    }
    if (ENDING == 1u) {
      let end = params.first + params.count - 1u;
      let first = params.out_at + token * params.weightRows;
      before[k] = vec2f(out[first + min(row.x, end)], out[first + min(row.y, end)]);
    }
  }
  var sum0 = Sum();
  var sum1 = Sum();
  for (var round = DEPTH; round < ROUNDS + DEPTH; round += DEPTH) {
    putStep(a, tokenPlace, codePlace);
    workgroupBarrier();
    if (ROUNDS > DEPTH) {
      a = stepOf(source, stripes, round * PARTS + part);
    }
    for (var k = 0u; k < 4u; k += 2u) {
      let x = subgroupMatrixLoad<Left, row_major>(&tokens, tokenArea + k, STRIDE);
      let first = subgroupMatrixLoad<Right, col_major>(&codes, codeArea + k, STRIDE);
      sum0 = subgroupMatrixMultiplyAccumulate(x, first, sum0);
      let second = subgroupMatrixLoad<Right, col_major>(&codes, codeArea + AREA + k, STRIDE);
      sum1 = subgroupMatrixMultiplyAccumulate(x, second, sum1);
    }
    workgroupBarrier();
    if (DEPTH > 1u) {
      putStep(b, tokenPlace, codePlace);
      workgroupBarrier();
      if (ROUNDS > DEPTH) {
        b = stepOf(source, stripes, (round + 1u) * PARTS + part);
      }
      for (var k = 0u; k < 4u; k += 2u) {
        let x = subgroupMatrixLoad<Left, row_major>(&tokens, tokenArea + k, STRIDE);
        let first = subgroupMatrixLoad<Right, col_major>(&codes, codeArea + k, STRIDE);
        sum0 = subgroupMatrixMultiplyAccumulate(x, first, sum0);
        let second = subgroupMatrixLoad<Right, col_major>(&codes, codeArea + AREA + k, STRIDE);
        sum1 = subgroupMatrixMultiplyAccumulate(x, second, sum1);
      }
      workgroupBarrier();
      putStep(c, tokenPlace, codePlace);
      workgroupBarrier();
      if (ROUNDS > DEPTH) {
        c = stepOf(source, stripes, (round + 2u) * PARTS + part);
      }
      for (var k = 0u; k < 4u; k += 2u) {
        let x = subgroupMatrixLoad<Left, row_major>(&tokens, tokenArea + k, STRIDE);
        let first = subgroupMatrixLoad<Right, col_major>(&codes, codeArea + k, STRIDE);
        sum0 = subgroupMatrixMultiplyAccumulate(x, first, sum0);
        let second = subgroupMatrixLoad<Right, col_major>(&codes, codeArea + AREA + k, STRIDE);
        sum1 = subgroupMatrixMultiplyAccumulate(x, second, sum1);
      }
      workgroupBarrier();
      putStep(d, tokenPlace, codePlace);
      workgroupBarrier();
      if (ROUNDS > DEPTH) {
        d = stepOf(source, stripes, (round + 3u) * PARTS + part);
      }
      for (var k = 0u; k < 4u; k += 2u) {
        let x = subgroupMatrixLoad<Left, row_major>(&tokens, tokenArea + k, STRIDE);
        let first = subgroupMatrixLoad<Right, col_major>(&codes, codeArea + k, STRIDE);
        sum0 = subgroupMatrixMultiplyAccumulate(x, first, sum0);
        let second = subgroupMatrixLoad<Right, col_major>(&codes, codeArea + AREA + k, STRIDE);
        sum1 = subgroupMatrixMultiplyAccumulate(x, second, sum1);
      }
      workgroupBarrier();
    }
  }
  var gates: array<f32, RESULTS>;
  for (var i = 0u; i < 2u; i++) {
    switch (i) {
      case 0u: { subgroupMatrixStore<row_major>(&codes, part * 64u, sum0, 4u); }
      default: { subgroupMatrixStore<row_major>(&codes, part * 64u, sum1, 4u); }
    }
    workgroupBarrier();
    for (var k = 0u; k < RESULTS; k++) {
      let at = own + k * THREADS;
      let token = firstToken + at / 16u;
      if (at < 256u && token < params.rows) {
        let dot = dotOf(at, biases[k]);
        let scale = units[k][i];
        if (ENDING == 3u) {
          if (i == 0u) {
            gates[k] = dot * scale;
          } else {
            let pair = vec2f(gates[k], dot * scale);
            turn(token, headOf(group.x), dimensionOf(group.x) + at % 16u, pair, turns[k]);
          }
        } else if (ENDING == 2u) {
          if (i == 0u) {
            gates[k] = activated(dot * scale);
          } else {
            let place = token * (params.weightRows / 2u) + group.x * 16u + at % 16u;
            out[params.out_at + place] = gates[k] * (dot * scale);
          }
        } else {
          let row = params.first + (group.x * 2u + i) * 16u + at % 16u;
          if (row < params.first + params.count) {
            let place = params.out_at + token * params.weightRows + row;
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
