// Gradients of the weights of experts' products, dW_e = dOut^T x over the expert's rows; see reference.ts. A workgroup has
// a tile of 64 x 64 of one expert's, an invocation 4 x 4 of it.
struct Params {
  rows: u32,
  cols: u32,
  count: u32,
  experts: u32,
  x_at: u32,
  weights_at: u32,
  chosen_at: u32,
  dOut_at: u32,
  dx_at: u32,
  dWeights_at: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> weights: array<f32>;
@group(0) @binding(3) var<storage, read> chosen: array<i32>;
@group(0) @binding(4) var<storage, read> dOut: array<f32>;
@group(0) @binding(5) var<storage, read_write> dx: array<f32>;
@group(0) @binding(6) var<storage, read_write> dWeights: array<f32>;
@group(0) @binding(7) var<storage, read_write> between: array<f32>;

const SIDE = 64u;
const STEPS = 16u;
/// Vectors from one step's to the next one's: one more than there are, so that steps lie in other banks.
const STRIDE = 17u;
var<workgroup> tileA: array<vec4f, STEPS * STRIDE>;
var<workgroup> tileB: array<vec4f, STEPS * STRIDE>;

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


/// Four neighbouring outputs of a row of dOut, zeros past the end.
fn gradientColumns(first: u32, k: u32, end: u32) -> vec4f {
  var values = vec4f();
  for (var i = 0u; i < 4u; i++) {
    if (first + i < params.count && k < end) {
      values[i] = dOut[params.dOut_at + k * params.count + first + i];
    }
  }
  return values;
}

/// Four neighbouring inputs of a row of x, zeros past the end.
fn inputColumns(first: u32, k: u32, end: u32) -> vec4f {
  var values = vec4f();
  for (var i = 0u; i < 4u; i++) {
    if (first + i < params.cols && k < end) {
      values[i] = x[params.x_at + k * params.cols + first + i];
    }
  }
  return values;
}

/// Adds to four neighbours of a row of an expert's gradient.
fn addColumns(expert: u32, row: u32, first: u32, values: vec4f) {
  if (row >= params.count) {
    return;
  }
  for (var i = 0u; i < 4u; i++) {
    if (first + i < params.cols) {
      dWeights[params.dWeights_at + (expert * params.count + row) * params.cols + first + i] += values[i];
    }
  }
}

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) own: u32) {
  let tiles = (params.count + SIDE - 1u) / SIDE;
  let expert = group.y / tiles;
  let low = own & 15u;
  let high = own >> 4u;
  let firstRow = group.y % tiles * SIDE;
  let firstCol = group.x * SIDE;
  let begin = placesBefore(expert, params.rows);
  let end = placesBefore(expert + 1u, params.rows);
  var s0 = vec4f();
  var s1 = vec4f();
  var s2 = vec4f();
  var s3 = vec4f();
  for (var first = begin; first < end; first += STEPS) {
    tileA[high * STRIDE + low] = gradientColumns(firstRow + low * 4u, first + high, end);
    tileB[high * STRIDE + low] = inputColumns(firstCol + low * 4u, first + high, end);
    workgroupBarrier();
    for (var k = 0u; k < STEPS; k++) {
      let a = tileA[k * STRIDE + high];
      let b = tileB[k * STRIDE + low];
      s0 = fma(vec4f(a.x), b, s0);
      s1 = fma(vec4f(a.y), b, s1);
      s2 = fma(vec4f(a.z), b, s2);
      s3 = fma(vec4f(a.w), b, s3);
    }
    workgroupBarrier();
  }
  let row = firstRow + high * 4u;
  let col = firstCol + low * 4u;
  addColumns(expert, row, col, s0);
  addColumns(expert, row + 1u, col, s1);
  addColumns(expert, row + 2u, col, s2);
  addColumns(expert, row + 3u, col, s3);
}
