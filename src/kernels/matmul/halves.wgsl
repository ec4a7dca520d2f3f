// As base.wgsl, with operands rounded to halves (round-halves.wgsl), on matrix units: products of 16 x 16 and 16 x 16 by
// subgroups of 32, with float32 sums. A workgroup has a tile of 128 x 128, a subgroup 64 x 32 of it; a step is 64
// long. `rows` and `inner` are multiples of 64, `cols` of 32.
enable f16;
enable subgroups;
enable chromium_experimental_subgroup_matrix;
diagnostic(off, chromium.subgroup_matrix_uniformity);
struct Params {
  rows: u32,
  cols: u32,
  inner: u32,
  transposeA: u32,
  transposeB: u32,
  accumulate: u32,
  halves: u32,
  a_at: u32,
  b_at: u32,
  out_at: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> a: array<vec4u>;
@group(0) @binding(2) var<storage, read> b: array<vec4u>;
@group(0) @binding(3) var<storage, read_write> out: array<f32>;
@group(0) @binding(4) var<storage, read_write> between: array<f32>;

const TRANSPOSE_A = 0u;
const TRANSPOSE_B = 0u;
const THREADS = 256u;
const TILE = 128u;
const STEP = 64u;
/// Vectors of 8 halves in a step, and in a tile's row of them.
const OCTETS = STEP / 8u;
const LINES = TILE / 8u;
/// Of an operand whose steps are side by side, and of one whose rows (or columns) are: vectors of 8 halves in a line,
/// and one more, so that lines lie in other banks.
const ALONG = OCTETS + 1u;
const ACROSS = LINES + 1u;
var<workgroup> tileA: array<vec4u, TILE * ALONG>;
var<workgroup> tileB: array<vec4u, TILE * ALONG>;

alias Left = subgroup_matrix_left<f16, 16, 16>;
alias Right = subgroup_matrix_right<f16, 16, 16>;
alias Sum = subgroup_matrix_result<f32, 16, 16>;

/// Parts of `inner`; see op.ts.
fn partCount() -> u32 {
  let tiles = ((params.rows + 63u) / 64u) * ((params.cols + 63u) / 64u);
  return min((params.inner + 255u) / 256u, (tiles + 1023u) / tiles);
}

/// Eight neighbours of A for the tile, in the i-th of an invocation's four places; zeros past the end.
fn eightOfA(own: u32, i: u32, firstRow: u32, k: u32, end: u32) -> vec4u {
  let place = own + i * THREADS;
  var row = firstRow + place / OCTETS;
  var step = k + place % OCTETS * 8u;
  var at = (row * params.inner + step) / 8u;
  if (TRANSPOSE_A != 0u) {
    row = firstRow + place % LINES * 8u;
    step = k + place / LINES;
    at = (step * params.rows + row) / 8u;
  }
  if (row >= params.rows || step >= end) {
    return vec4u();
  }
  return a[at];
}

/// The same of B.
fn eightOfB(own: u32, i: u32, firstCol: u32, k: u32, end: u32) -> vec4u {
  let place = own + i * THREADS;
  var col = firstCol + place % LINES * 8u;
  var step = k + place / LINES;
  var at = (step * params.cols + col) / 8u;
  if (TRANSPOSE_B != 0u) {
    col = firstCol + place / OCTETS;
    step = k + place % OCTETS * 8u;
    at = (col * params.inner + step) / 8u;
  }
  if (col >= params.cols || step >= end) {
    return vec4u();
  }
  return b[at];
}

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) own: u32) {
  let parts = partCount();
  let part = group.y % parts;
  let steps = (params.inner + STEP * parts - 1u) / (STEP * parts) * STEP;
  let begin = part * steps;
  let end = min(params.inner, begin + steps);
  let firstRow = group.y / parts * TILE;
  let firstCol = group.x * TILE;
  let subgroup = own / 32u;
  let rowPart = subgroup % 2u * 64u;
  let colPart = subgroup / 2u * 32u;
  let isInside = firstRow + rowPart < params.rows && firstCol + colPart < params.cols;
  let resultAt = (firstRow + rowPart) * params.cols + firstCol + colPart;
  let along = own / OCTETS * ALONG + own % OCTETS;
  let across = own / LINES * ACROSS + own % LINES;
  var s00 = Sum();
  var s01 = Sum();
  var s10 = Sum();
  var s11 = Sum();
  var s20 = Sum();
  var s21 = Sum();
  var s30 = Sum();
  var s31 = Sum();
  if (isInside && params.accumulate != 0u && parts == 1u) {
    s00 = subgroupMatrixLoad<Sum, row_major>(&out, params.out_at + resultAt + 0u * params.cols + 0u, params.cols);
    s01 = subgroupMatrixLoad<Sum, row_major>(&out, params.out_at + resultAt + 0u * params.cols + 16u, params.cols);
    s10 = subgroupMatrixLoad<Sum, row_major>(&out, params.out_at + resultAt + 16u * params.cols + 0u, params.cols);
    s11 = subgroupMatrixLoad<Sum, row_major>(&out, params.out_at + resultAt + 16u * params.cols + 16u, params.cols);
    s20 = subgroupMatrixLoad<Sum, row_major>(&out, params.out_at + resultAt + 32u * params.cols + 0u, params.cols);
    s21 = subgroupMatrixLoad<Sum, row_major>(&out, params.out_at + resultAt + 32u * params.cols + 16u, params.cols);
    s30 = subgroupMatrixLoad<Sum, row_major>(&out, params.out_at + resultAt + 48u * params.cols + 0u, params.cols);
    s31 = subgroupMatrixLoad<Sum, row_major>(&out, params.out_at + resultAt + 48u * params.cols + 16u, params.cols);
  }
  var a0 = eightOfA(own, 0u, firstRow, begin, end);
  var a1 = eightOfA(own, 1u, firstRow, begin, end);
  var a2 = eightOfA(own, 2u, firstRow, begin, end);
  var a3 = eightOfA(own, 3u, firstRow, begin, end);
  var b0 = eightOfB(own, 0u, firstCol, begin, end);
  var b1 = eightOfB(own, 1u, firstCol, begin, end);
  var b2 = eightOfB(own, 2u, firstCol, begin, end);
  var b3 = eightOfB(own, 3u, firstCol, begin, end);
  for (var k = begin; k < end; k += STEP) {
    if (TRANSPOSE_A != 0u) {
      tileA[across + 0u * (THREADS / LINES) * ACROSS] = a0;
      tileA[across + 1u * (THREADS / LINES) * ACROSS] = a1;
      tileA[across + 2u * (THREADS / LINES) * ACROSS] = a2;
      tileA[across + 3u * (THREADS / LINES) * ACROSS] = a3;
    } else {
      tileA[along + 0u * (THREADS / OCTETS) * ALONG] = a0;
      tileA[along + 1u * (THREADS / OCTETS) * ALONG] = a1;
      tileA[along + 2u * (THREADS / OCTETS) * ALONG] = a2;
      tileA[along + 3u * (THREADS / OCTETS) * ALONG] = a3;
    }
    if (TRANSPOSE_B != 0u) {
      tileB[along + 0u * (THREADS / OCTETS) * ALONG] = b0;
      tileB[along + 1u * (THREADS / OCTETS) * ALONG] = b1;
      tileB[along + 2u * (THREADS / OCTETS) * ALONG] = b2;
      tileB[along + 3u * (THREADS / OCTETS) * ALONG] = b3;
    } else {
      tileB[across + 0u * (THREADS / LINES) * ACROSS] = b0;
      tileB[across + 1u * (THREADS / LINES) * ACROSS] = b1;
      tileB[across + 2u * (THREADS / LINES) * ACROSS] = b2;
      tileB[across + 3u * (THREADS / LINES) * ACROSS] = b3;
    }
    workgroupBarrier();
    a0 = eightOfA(own, 0u, firstRow, k + STEP, end);
    a1 = eightOfA(own, 1u, firstRow, k + STEP, end);
    a2 = eightOfA(own, 2u, firstRow, k + STEP, end);
    a3 = eightOfA(own, 3u, firstRow, k + STEP, end);
    b0 = eightOfB(own, 0u, firstCol, k + STEP, end);
    b1 = eightOfB(own, 1u, firstCol, k + STEP, end);
    b2 = eightOfB(own, 2u, firstCol, k + STEP, end);
    b3 = eightOfB(own, 3u, firstCol, k + STEP, end);
    for (var step = 0u; step < STEP; step += 16u) {
      var left0 = Left();
      var left1 = Left();
      var left2 = Left();
      var left3 = Left();
      var right0 = Right();
      var right1 = Right();
      if (TRANSPOSE_A != 0u) {
        left0 = subgroupMatrixLoad<Left, col_major>(&tileA, step * ACROSS + (rowPart + 0u) / 8u, ACROSS);
        left1 = subgroupMatrixLoad<Left, col_major>(&tileA, step * ACROSS + (rowPart + 16u) / 8u, ACROSS);
        left2 = subgroupMatrixLoad<Left, col_major>(&tileA, step * ACROSS + (rowPart + 32u) / 8u, ACROSS);
        left3 = subgroupMatrixLoad<Left, col_major>(&tileA, step * ACROSS + (rowPart + 48u) / 8u, ACROSS);
      } else {
        left0 = subgroupMatrixLoad<Left, row_major>(&tileA, (rowPart + 0u) * ALONG + step / 8u, ALONG);
        left1 = subgroupMatrixLoad<Left, row_major>(&tileA, (rowPart + 16u) * ALONG + step / 8u, ALONG);
        left2 = subgroupMatrixLoad<Left, row_major>(&tileA, (rowPart + 32u) * ALONG + step / 8u, ALONG);
        left3 = subgroupMatrixLoad<Left, row_major>(&tileA, (rowPart + 48u) * ALONG + step / 8u, ALONG);
      }
      if (TRANSPOSE_B != 0u) {
        right0 = subgroupMatrixLoad<Right, col_major>(&tileB, (colPart + 0u) * ALONG + step / 8u, ALONG);
        right1 = subgroupMatrixLoad<Right, col_major>(&tileB, (colPart + 16u) * ALONG + step / 8u, ALONG);
      } else {
        right0 = subgroupMatrixLoad<Right, row_major>(&tileB, step * ACROSS + (colPart + 0u) / 8u, ACROSS);
        right1 = subgroupMatrixLoad<Right, row_major>(&tileB, step * ACROSS + (colPart + 16u) / 8u, ACROSS);
      }
      s00 = subgroupMatrixMultiplyAccumulate(left0, right0, s00);
      s01 = subgroupMatrixMultiplyAccumulate(left0, right1, s01);
      s10 = subgroupMatrixMultiplyAccumulate(left1, right0, s10);
      s11 = subgroupMatrixMultiplyAccumulate(left1, right1, s11);
      s20 = subgroupMatrixMultiplyAccumulate(left2, right0, s20);
      s21 = subgroupMatrixMultiplyAccumulate(left2, right1, s21);
      s30 = subgroupMatrixMultiplyAccumulate(left3, right0, s30);
      s31 = subgroupMatrixMultiplyAccumulate(left3, right1, s31);
    }
    workgroupBarrier();
  }
  if (!isInside) {
    return;
  }
  if (parts > 1u) {
    let at = part * params.rows * params.cols + resultAt;
    subgroupMatrixStore<row_major>(&between, at + 0u * params.cols + 0u, s00, params.cols);
    subgroupMatrixStore<row_major>(&between, at + 0u * params.cols + 16u, s01, params.cols);
    subgroupMatrixStore<row_major>(&between, at + 16u * params.cols + 0u, s10, params.cols);
    subgroupMatrixStore<row_major>(&between, at + 16u * params.cols + 16u, s11, params.cols);
    subgroupMatrixStore<row_major>(&between, at + 32u * params.cols + 0u, s20, params.cols);
    subgroupMatrixStore<row_major>(&between, at + 32u * params.cols + 16u, s21, params.cols);
    subgroupMatrixStore<row_major>(&between, at + 48u * params.cols + 0u, s30, params.cols);
    subgroupMatrixStore<row_major>(&between, at + 48u * params.cols + 16u, s31, params.cols);
  } else {
    let at = params.out_at + resultAt;
    subgroupMatrixStore<row_major>(&out, at + 0u * params.cols + 0u, s00, params.cols);
    subgroupMatrixStore<row_major>(&out, at + 0u * params.cols + 16u, s01, params.cols);
    subgroupMatrixStore<row_major>(&out, at + 16u * params.cols + 0u, s10, params.cols);
    subgroupMatrixStore<row_major>(&out, at + 16u * params.cols + 16u, s11, params.cols);
    subgroupMatrixStore<row_major>(&out, at + 32u * params.cols + 0u, s20, params.cols);
    subgroupMatrixStore<row_major>(&out, at + 32u * params.cols + 16u, s21, params.cols);
    subgroupMatrixStore<row_major>(&out, at + 48u * params.cols + 0u, s30, params.cols);
    subgroupMatrixStore<row_major>(&out, at + 48u * params.cols + 16u, s31, params.cols);
  }
}
