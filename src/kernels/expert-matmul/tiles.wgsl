// As base.wgsl for many rows, 2-bit weights and COLS columns, a multiple of 64: a workgroup has 64 rows of x and 64 of
// an expert's matrix, an invocation 8 by 4 of them. Rows are sorted by expert: a tile in which another expert's begin
// goes through the weights of each. Steps of 64 columns lie in workgroup memory as words of four columns, by column
// and then by row, while the next ones are on their way.
struct Params {
  rows: u32,
  weights_rows: u32,
  weights_cols: u32,
  weights_packing: u32,
  weights_order: u32,
  experts: u32,
  x_q_at: u32,
  x_scales_at: u32,
  x_sums_at: u32,
  weights_data_at: u32,
  weights_scales_at: u32,
  chosen_at: u32,
  out_at: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x_q: array<vec4u>;
@group(0) @binding(2) var<storage, read> x_scales: array<f32>;
@group(0) @binding(3) var<storage, read> x_sums: array<i32>;
@group(0) @binding(4) var<storage, read> weights_data: array<u32>;
@group(0) @binding(5) var<storage, read> weights_scales: array<f32>;
@group(0) @binding(6) var<storage, read> chosen: array<i32>;
@group(0) @binding(7) var<storage, read_write> out: array<f32>;

const THREADS = 128u;
const COLS = 2560u;
const SIDE = 64u;
const TOKENS = 8u;
/// Words of four columns in a step.
const WORDS = 16u;
const STEPS = COLS / 64u;
/// Vectors of a column of words, and one more so that neighbours lie in other banks.
const STRIDE = SIDE / 4u + 1u;
var<workgroup> tokens: array<vec4u, WORDS * STRIDE>;
var<workgroup> codes: array<vec4u, WORDS * STRIDE>;

/// Four bytes of each of four rows, with the same four activations.
fn dots(codes: vec4u, q: u32) -> vec4i {
  return vec4i(
    dot4I8Packed(codes.x, q),
    dot4I8Packed(codes.y, q),
    dot4I8Packed(codes.z, q),
    dot4I8Packed(codes.w, q),
  );
}

/// Assignments to experts before this one: they are sorted.
fn placesBefore(expert: u32, count: u32) -> u32 {
  var low = 0u;
  var high = count;
  while (low < high) {
    let middle = (low + high) / 2u;
    if (u32(chosen[params.chosen_at + middle]) < expert) {
      low = middle + 1u;
    } else {
      high = middle;
    }
  }
  return low;
}

/// Where an expert's results of a tile go.
struct Place {
  begin: u32,
  end: u32,
  expert: u32,
  count: u32,
}

/// Writes a token's results in four rows, if the expert has it.
fn finish(place: Place, token: u32, firstRow: u32, sums: vec4i) {
  if (token < place.begin || token >= place.end) {
    return;
  }
  let dot = vec4f(sums - vec4i(x_sums[params.x_sums_at + token]));
  let scale = x_scales[params.x_scales_at + token];
  for (var r = 0u; r < 4u; r++) {
    let row = firstRow + r;
    if (row < place.count) {
      let both = scale * weights_scales[params.weights_scales_at + place.expert * place.count + row];
      out[params.out_at + token * place.count + row] = dot[r] * both;
    }
  }
}

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) own: u32) {
  let count = params.weights_rows / params.experts;
  let firstToken = group.y * SIDE;
  let firstRow = group.x * SIDE;
  // Invocation i brings two of the four vectors of token i % 64, and four tiles' words of rows i % 64 by twos.
  let place = own & 63u;
  let part = own >> 6u;
  let token = min(firstToken + place, params.rows - 1u);
  let stripe = min((firstRow + place) >> 4u, (count - 1u) >> 4u);
  let source = params.x_q_at / 4u + token * (COLS / 16u) + part * 2u;
  let column = own & 15u;
  let row = own >> 4u;
  let token0 = firstToken + row * TOKENS;
  let row0 = firstRow + column * 4u;
  let endToken = min(firstToken + SIDE, params.rows);

  var begin = firstToken;
  while (begin < endToken) {
    let expert = u32(chosen[params.chosen_at + begin]);
    let end = min(placesBefore(expert + 1u, params.rows), endToken);
    let data = params.weights_data_at + (expert * (count >> 4u) + stripe) * COLS + part * 32u + (place & 15u);
    // Set to 0 here: declared in a loop, they have kept what they had.
    var sum0 = vec4i();
    var sum1 = vec4i();
    var sum2 = vec4i();
    var sum3 = vec4i();
    var sum4 = vec4i();
    var sum5 = vec4i();
    var sum6 = vec4i();
    var sum7 = vec4i();
    var w = vec4u();
    var a = vec4u();
    var b = vec4u();
    var q0 = x_q[source];
    var q1 = x_q[source + 1u];
    var w0 = weights_data[data];
    var w1 = weights_data[data + 16u];
    for (var step = 0u; step < STEPS; step++) {
      for (var j = 0u; j < 4u; j++) {
        let word = part * 8u + j;
        tokens[word * STRIDE + (place >> 2u)][place & 3u] = q0[j];
        tokens[(word + 4u) * STRIDE + (place >> 2u)][place & 3u] = q1[j];
        codes[word * STRIDE + (place >> 2u)][place & 3u] = (w0 >> (2u * j)) & 0x03030303u;
        codes[(word + 4u) * STRIDE + (place >> 2u)][place & 3u] = (w1 >> (2u * j)) & 0x03030303u;
      }
      workgroupBarrier();
      let next = min(step + 1u, STEPS - 1u);
      q0 = x_q[source + next * 4u];
      q1 = x_q[source + next * 4u + 1u];
      w0 = weights_data[data + next * 64u];
      w1 = weights_data[data + next * 64u + 16u];
      // Written out, as in ternary-matmul/tiles.wgsl: drivers make less of a loop.
      w = codes[column];
      a = tokens[2u * row];
      b = tokens[2u * row + 1u];
      sum0 += dots(w, a.x); sum1 += dots(w, a.y); sum2 += dots(w, a.z); sum3 += dots(w, a.w);
      sum4 += dots(w, b.x); sum5 += dots(w, b.y); sum6 += dots(w, b.z); sum7 += dots(w, b.w);
      w = codes[STRIDE + column];
      a = tokens[STRIDE + 2u * row];
      b = tokens[STRIDE + 2u * row + 1u];
      sum0 += dots(w, a.x); sum1 += dots(w, a.y); sum2 += dots(w, a.z); sum3 += dots(w, a.w);
      sum4 += dots(w, b.x); sum5 += dots(w, b.y); sum6 += dots(w, b.z); sum7 += dots(w, b.w);
      w = codes[2u * STRIDE + column];
      a = tokens[2u * STRIDE + 2u * row];
      b = tokens[2u * STRIDE + 2u * row + 1u];
      sum0 += dots(w, a.x); sum1 += dots(w, a.y); sum2 += dots(w, a.z); sum3 += dots(w, a.w);
      sum4 += dots(w, b.x); sum5 += dots(w, b.y); sum6 += dots(w, b.z); sum7 += dots(w, b.w);
      w = codes[3u * STRIDE + column];
      a = tokens[3u * STRIDE + 2u * row];
      b = tokens[3u * STRIDE + 2u * row + 1u];
      sum0 += dots(w, a.x); sum1 += dots(w, a.y); sum2 += dots(w, a.z); sum3 += dots(w, a.w);
      sum4 += dots(w, b.x); sum5 += dots(w, b.y); sum6 += dots(w, b.z); sum7 += dots(w, b.w);
      w = codes[4u * STRIDE + column];
      a = tokens[4u * STRIDE + 2u * row];
      b = tokens[4u * STRIDE + 2u * row + 1u];
      sum0 += dots(w, a.x); sum1 += dots(w, a.y); sum2 += dots(w, a.z); sum3 += dots(w, a.w);
      sum4 += dots(w, b.x); sum5 += dots(w, b.y); sum6 += dots(w, b.z); sum7 += dots(w, b.w);
      w = codes[5u * STRIDE + column];
      a = tokens[5u * STRIDE + 2u * row];
      b = tokens[5u * STRIDE + 2u * row + 1u];
      sum0 += dots(w, a.x); sum1 += dots(w, a.y); sum2 += dots(w, a.z); sum3 += dots(w, a.w);
      sum4 += dots(w, b.x); sum5 += dots(w, b.y); sum6 += dots(w, b.z); sum7 += dots(w, b.w);
      w = codes[6u * STRIDE + column];
      a = tokens[6u * STRIDE + 2u * row];
      b = tokens[6u * STRIDE + 2u * row + 1u];
      sum0 += dots(w, a.x); sum1 += dots(w, a.y); sum2 += dots(w, a.z); sum3 += dots(w, a.w);
      sum4 += dots(w, b.x); sum5 += dots(w, b.y); sum6 += dots(w, b.z); sum7 += dots(w, b.w);
      w = codes[7u * STRIDE + column];
      a = tokens[7u * STRIDE + 2u * row];
      b = tokens[7u * STRIDE + 2u * row + 1u];
      sum0 += dots(w, a.x); sum1 += dots(w, a.y); sum2 += dots(w, a.z); sum3 += dots(w, a.w);
      sum4 += dots(w, b.x); sum5 += dots(w, b.y); sum6 += dots(w, b.z); sum7 += dots(w, b.w);
      w = codes[8u * STRIDE + column];
      a = tokens[8u * STRIDE + 2u * row];
      b = tokens[8u * STRIDE + 2u * row + 1u];
      sum0 += dots(w, a.x); sum1 += dots(w, a.y); sum2 += dots(w, a.z); sum3 += dots(w, a.w);
      sum4 += dots(w, b.x); sum5 += dots(w, b.y); sum6 += dots(w, b.z); sum7 += dots(w, b.w);
      w = codes[9u * STRIDE + column];
      a = tokens[9u * STRIDE + 2u * row];
      b = tokens[9u * STRIDE + 2u * row + 1u];
      sum0 += dots(w, a.x); sum1 += dots(w, a.y); sum2 += dots(w, a.z); sum3 += dots(w, a.w);
      sum4 += dots(w, b.x); sum5 += dots(w, b.y); sum6 += dots(w, b.z); sum7 += dots(w, b.w);
      w = codes[10u * STRIDE + column];
      a = tokens[10u * STRIDE + 2u * row];
      b = tokens[10u * STRIDE + 2u * row + 1u];
      sum0 += dots(w, a.x); sum1 += dots(w, a.y); sum2 += dots(w, a.z); sum3 += dots(w, a.w);
      sum4 += dots(w, b.x); sum5 += dots(w, b.y); sum6 += dots(w, b.z); sum7 += dots(w, b.w);
      w = codes[11u * STRIDE + column];
      a = tokens[11u * STRIDE + 2u * row];
      b = tokens[11u * STRIDE + 2u * row + 1u];
      sum0 += dots(w, a.x); sum1 += dots(w, a.y); sum2 += dots(w, a.z); sum3 += dots(w, a.w);
      sum4 += dots(w, b.x); sum5 += dots(w, b.y); sum6 += dots(w, b.z); sum7 += dots(w, b.w);
      w = codes[12u * STRIDE + column];
      a = tokens[12u * STRIDE + 2u * row];
      b = tokens[12u * STRIDE + 2u * row + 1u];
      sum0 += dots(w, a.x); sum1 += dots(w, a.y); sum2 += dots(w, a.z); sum3 += dots(w, a.w);
      sum4 += dots(w, b.x); sum5 += dots(w, b.y); sum6 += dots(w, b.z); sum7 += dots(w, b.w);
      w = codes[13u * STRIDE + column];
      a = tokens[13u * STRIDE + 2u * row];
      b = tokens[13u * STRIDE + 2u * row + 1u];
      sum0 += dots(w, a.x); sum1 += dots(w, a.y); sum2 += dots(w, a.z); sum3 += dots(w, a.w);
      sum4 += dots(w, b.x); sum5 += dots(w, b.y); sum6 += dots(w, b.z); sum7 += dots(w, b.w);
      w = codes[14u * STRIDE + column];
      a = tokens[14u * STRIDE + 2u * row];
      b = tokens[14u * STRIDE + 2u * row + 1u];
      sum0 += dots(w, a.x); sum1 += dots(w, a.y); sum2 += dots(w, a.z); sum3 += dots(w, a.w);
      sum4 += dots(w, b.x); sum5 += dots(w, b.y); sum6 += dots(w, b.z); sum7 += dots(w, b.w);
      w = codes[15u * STRIDE + column];
      a = tokens[15u * STRIDE + 2u * row];
      b = tokens[15u * STRIDE + 2u * row + 1u];
      sum0 += dots(w, a.x); sum1 += dots(w, a.y); sum2 += dots(w, a.z); sum3 += dots(w, a.w);
      sum4 += dots(w, b.x); sum5 += dots(w, b.y); sum6 += dots(w, b.z); sum7 += dots(w, b.w);
      workgroupBarrier();
    }
    let results = Place(begin, end, expert, count);
    finish(results, token0, row0, sum0);
    finish(results, token0 + 1u, row0, sum1);
    finish(results, token0 + 2u, row0, sum2);
    finish(results, token0 + 3u, row0, sum3);
    finish(results, token0 + 4u, row0, sum4);
    finish(results, token0 + 5u, row0, sum5);
    finish(results, token0 + 6u, row0, sum6);
    finish(results, token0 + 7u, row0, sum7);
    begin = end;
  }
}
