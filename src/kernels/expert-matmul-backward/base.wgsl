// Gradients of the rows of experts' products, dx = dOut W_e; finish.wgsl has those of the weights. See reference.ts. A
// workgroup has a tile of 64 rows and 64 columns, an invocation 4 x 4 of it. Rows are sorted by expert: a tile in which
// another expert's begin goes through the weights of each.
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


/// Four neighbouring rows of dOut at one step, zeros past the end.
fn gradientRows(first: u32, k: u32) -> vec4f {
  var values = vec4f();
  for (var i = 0u; i < 4u; i++) {
    if (first + i < params.rows && k < params.count) {
      values[i] = dOut[params.dOut_at + (first + i) * params.count + k];
    }
  }
  return values;
}

/// Four neighbouring columns of a row of an expert's weights, zeros past the end.
fn weightColumns(expert: u32, k: u32, first: u32) -> vec4f {
  var values = vec4f();
  for (var i = 0u; i < 4u; i++) {
    if (first + i < params.cols && k < params.count) {
      values[i] = weights[params.weights_at + (expert * params.count + k) * params.cols + first + i];
    }
  }
  return values;
}

/// Four neighbours of a row that is between `begin` and `end`.
fn putColumns(row: u32, begin: u32, end: u32, first: u32, values: vec4f) {
  if (row < begin || row >= end) {
    return;
  }
  for (var i = 0u; i < 4u; i++) {
    if (first + i < params.cols) {
      dx[params.dx_at + row * params.cols + first + i] = values[i];
    }
  }
}

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) own: u32) {
  let firstRow = group.y * SIDE;
  let firstCol = group.x * SIDE;
  let low = own & 15u;
  let high = own >> 4u;
  let row = firstRow + high * 4u;
  let col = firstCol + low * 4u;
  let endRow = min(firstRow + SIDE, params.rows);
  var begin = firstRow;
  while (begin < endRow) {
    let expert = u32(chosen[params.chosen_at + begin]);
    let end = min(placesBefore(expert + 1u, params.rows), endRow);
    var s0 = vec4f();
    var s1 = vec4f();
    var s2 = vec4f();
    var s3 = vec4f();
    for (var first = 0u; first < params.count; first += STEPS) {
      // Neighbours read what lies side by side.
      tileA[low * STRIDE + high] = gradientRows(row, first + low);
      tileB[high * STRIDE + low] = weightColumns(expert, first + high, col);
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
    putColumns(row, begin, end, col, s0);
    putColumns(row + 1u, begin, end, col, s1);
    putColumns(row + 2u, begin, end, col, s2);
    putColumns(row + 3u, begin, end, col, s3);
    begin = end;
  }
}
