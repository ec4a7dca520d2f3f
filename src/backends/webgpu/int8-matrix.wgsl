// int8-product.wgsl on int8 matrices, for up to 16 tokens a workgroup: it has 128 rows of the matrix, 32 of them in each
// subgroup, and goes through the columns in steps of 64, whose tokens' high and low bytes all subgroups share.
enable subgroups;
enable chromium_experimental_subgroup_matrix;
diagnostic(off, chromium.subgroup_matrix_uniformity);
struct Params {
  rows: u32,
  matrixRows: u32,
  accumulate: u32,
  split_at: u32,
  data_at: u32,
  scales_at: u32,
  out_at: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> split: array<vec4u>;
@group(0) @binding(2) var<storage, read> data: array<u32>;
@group(0) @binding(3) var<storage, read> scales: array<f32>;
@group(0) @binding(4) var<storage, read_write> out: array<f32>;

const THREADS = 128u;
const COLS = 2560u;
const COUNT = COLS / 4u;
const TOKEN = (2u * COUNT + 4u) & ~3u;
const TOKENS = 16u;
const STEPS = COLS / 64u;
/// Vectors of 16 columns in a row of a step, and one more, so that neighbours lie in other banks.
const STRIDE = 5u;
const AREA = 16u * STRIDE;
var<workgroup> tokens: array<vec4u, 2u * AREA>;
var<workgroup> codes: array<vec4u, THREADS / 32u * 2u * AREA>;
/// Of a stripe of each subgroup: sums with high bytes, and with low ones.
var<workgroup> sums: array<i32, THREADS / 32u * 512u>;

alias Left = subgroup_matrix_left<i8, 32, 16>;
alias Right = subgroup_matrix_right<i8, 16, 32>;
alias Sum = subgroup_matrix_result<i32, 16, 16>;

/// 256 high + low, rounded as the reference rounds it.
fn joined(high: i32, low: i32) -> f32 {
  return f32(high + (low >> 8u)) * 256.0 + f32(low & 255);
}

/// What an invocation brings of a step: a token's vector, and two of a row of both stripes.
struct Bytes {
  token: vec4u,
  row00: vec4u,
  row01: vec4u,
  row10: vec4u,
  row11: vec4u,
}

/// @param token its vector of step 0
/// @param stripes words of both stripes of it
fn bytesOf(token: u32, stripes: vec2u, step: u32) -> Bytes {
  let at = min(step, STEPS - 1u);
  let vector = select(vec4u(), split[token + at * 4u], step < STEPS);
  let words = stripes + vec2u(at * 256u);
  return Bytes(
    vector,
    weightsAt(words.x),
    weightsAt(words.x + 128u),
    weightsAt(words.y),
    weightsAt(words.y + 128u),
  );
}

fn putBytes(bytes: Bytes, tokenPlace: u32, codePlace: u32) {
  tokens[tokenPlace] = bytes.token;
  codes[codePlace] = bytes.row00;
  codes[codePlace + 2u] = bytes.row01;
  codes[codePlace + AREA] = bytes.row10;
  codes[codePlace + AREA + 2u] = bytes.row11;
}

/// 16 columns of a row: words lie 16 rows apart. Bytes are weights plus 128.
fn weightsAt(at: u32) -> vec4u {
  return vec4u(data[at], data[at + 16u], data[at + 32u], data[at + 48u]) ^ vec4u(0x80808080u);
}

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) own: u32) {
  let part = own / 32u;
  let lane = own % 32u;
  let firstToken = group.y * TOKENS;
  let lastStripe = (params.matrixRows - 1u) / 16u;
  let firstStripe = (group.x * (THREADS / 32u) + part) * 2u;
  // Bytes that an invocation brings: of a token, and of a row of both stripes.
  let token = min(firstToken + own / 4u % 16u, params.rows - 1u);
  let tokenSource = token * (TOKEN / 4u) + own / 64u * (COUNT / 4u) + own % 4u;
  let tokenPlace = own / 4u * STRIDE + own % 4u;
  let row = lane & 15u;
  let stripe = min(vec2u(firstStripe, firstStripe + 1u), vec2u(lastStripe));
  let stripes = vec2u(params.data_at + row) + (stripe * COUNT + vec2u(lane / 16u * 4u)) * 16u;
  let codeArea = part * 2u * AREA;
  let codePlace = codeArea + row * STRIDE + lane / 16u;
  var a = bytesOf(tokenSource, stripes, 0u);
  var b = bytesOf(tokenSource, stripes, 1u);
  var high0 = Sum();
  var high1 = Sum();
  var low0 = Sum();
  var low1 = Sum();
  // A step is over long before memory answers, so that two are on their way.
  for (var step = 0u; step < STEPS; step += 2u) {
    putBytes(a, tokenPlace, codePlace);
    workgroupBarrier();
    a = bytesOf(tokenSource, stripes, step + 2u);
    for (var k = 0u; k < 4u; k += 2u) {
      let high = subgroupMatrixLoad<Left, row_major>(&tokens, k, STRIDE);
      let low = subgroupMatrixLoad<Left, row_major>(&tokens, AREA + k, STRIDE);
      let first = subgroupMatrixLoad<Right, col_major>(&codes, codeArea + k, STRIDE);
      high0 = subgroupMatrixMultiplyAccumulate(high, first, high0);
      low0 = subgroupMatrixMultiplyAccumulate(low, first, low0);
      let second = subgroupMatrixLoad<Right, col_major>(&codes, codeArea + AREA + k, STRIDE);
      high1 = subgroupMatrixMultiplyAccumulate(high, second, high1);
      low1 = subgroupMatrixMultiplyAccumulate(low, second, low1);
    }
    workgroupBarrier();
    putBytes(b, tokenPlace, codePlace);
    workgroupBarrier();
    b = bytesOf(tokenSource, stripes, step + 3u);
    for (var k = 0u; k < 4u; k += 2u) {
      let high = subgroupMatrixLoad<Left, row_major>(&tokens, k, STRIDE);
      let low = subgroupMatrixLoad<Left, row_major>(&tokens, AREA + k, STRIDE);
      let first = subgroupMatrixLoad<Right, col_major>(&codes, codeArea + k, STRIDE);
      high0 = subgroupMatrixMultiplyAccumulate(high, first, high0);
      low0 = subgroupMatrixMultiplyAccumulate(low, first, low0);
      let second = subgroupMatrixLoad<Right, col_major>(&codes, codeArea + AREA + k, STRIDE);
      high1 = subgroupMatrixMultiplyAccumulate(high, second, high1);
      low1 = subgroupMatrixMultiplyAccumulate(low, second, low1);
    }
    workgroupBarrier();
  }
  for (var i = 0u; i < 2u; i++) {
    switch (i) {
      case 0u: {
        subgroupMatrixStore<row_major>(&sums, part * 512u, high0, 16u);
        subgroupMatrixStore<row_major>(&sums, part * 512u + 256u, low0, 16u);
      }
      default: {
        subgroupMatrixStore<row_major>(&sums, part * 512u, high1, 16u);
        subgroupMatrixStore<row_major>(&sums, part * 512u + 256u, low1, 16u);
      }
    }
    workgroupBarrier();
    let matrixRow = (firstStripe + i) * 16u + row;
    for (var k = 0u; k < 8u; k++) {
      let answered = firstToken + lane / 16u + 2u * k;
      if (answered < params.rows && matrixRow < params.matrixRows) {
        let at = part * 512u + (lane / 16u + 2u * k) * 16u + row;
        let place = params.out_at + answered * params.matrixRows + matrixRow;
        var before = 0.0;
        if (params.accumulate != 0u) {
          before = out[place];
        }
        let unit = bitcast<f32>(split[answered * (TOKEN / 4u) + COUNT / 2u].x);
        out[place] = fma(joined(sums[at], sums[at + 256u]), scales[params.scales_at + matrixRow] * unit, before);
      }
    }
    workgroupBarrier();
  }
}
