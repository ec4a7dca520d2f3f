// As base.wgsl, with a tile of 128 x 128: an invocation has 4 x 4 of each 64 x 64, so that it reads half as much for
// each product. All sums are written out: drivers have kept an array of them in memory.
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
@group(0) @binding(1) var<storage, read> a: array<f32>;
@group(0) @binding(2) var<storage, read> b: array<f32>;
@group(0) @binding(3) var<storage, read_write> out: array<f32>;
@group(0) @binding(4) var<storage, read_write> between: array<f32>;

const BLOCKS = 2u;
const STEPS = 16u;
/// Vectors from one step's to the next one's: one more than there are, so that steps lie in other banks.
const STRIDE = 16u * BLOCKS + 1u;
var<workgroup> tileA: array<vec4f, STEPS * STRIDE>;
var<workgroup> tileB: array<vec4f, STEPS * STRIDE>;

/// Parts of `inner`; see op.ts.
fn partCount() -> u32 {
  let tiles = ((params.rows + 63u) / 64u) * ((params.cols + 63u) / 64u);
  return min((params.inner + 255u) / 256u, (tiles + 1023u) / tiles);
}

/// Four neighbouring rows of A at one step; zeros past the end.
fn rowsOfA(first: u32, k: u32, end: u32) -> vec4f {
  var values = vec4f();
  for (var i = 0u; i < 4u; i++) {
    let row = first + i;
    if (row < params.rows && k < end) {
      let at = select(row * params.inner + k, k * params.rows + row, params.transposeA != 0u);
      values[i] = a[params.a_at + at];
    }
  }
  return values;
}

/// Four neighbouring columns of B at one step; zeros past the end.
fn columnsOfB(first: u32, k: u32, end: u32) -> vec4f {
  var values = vec4f();
  for (var i = 0u; i < 4u; i++) {
    let col = first + i;
    if (col < params.cols && k < end) {
      let at = select(k * params.cols + col, col * params.inner + k, params.transposeB != 0u);
      values[i] = b[params.b_at + at];
    }
  }
  return values;
}

/// Four neighbours of a row of the result, or of a part of it.
fn putRow(row: u32, col: u32, parts: u32, part: u32, values: vec4f) {
  put(row, col, parts, part, values.x);
  put(row, col + 1u, parts, part, values.y);
  put(row, col + 2u, parts, part, values.z);
  put(row, col + 3u, parts, part, values.w);
}

fn put(row: u32, col: u32, parts: u32, part: u32, value: f32) {
  if (row >= params.rows || col >= params.cols) {
    return;
  }
  let at = row * params.cols + col;
  if (parts > 1u) {
    between[part * params.rows * params.cols + at] = value;
  } else if (params.accumulate != 0u) {
    out[params.out_at + at] += value;
  } else {
    out[params.out_at + at] = value;
  }
}

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) own: u32) {
  let parts = partCount();
  let part = group.y % parts;
  let steps = (params.inner + STEPS * parts - 1u) / (STEPS * parts) * STEPS;
  let end = min(params.inner, (part + 1u) * steps);
  let firstRow = group.y / parts * 64u * BLOCKS;
  let firstCol = group.x * 64u * BLOCKS;
  let low = own & 15u;
  let high = own >> 4u;
  // Neighbours read what lies side by side.
  let ofA = select(vec2u(low, high), vec2u(high, low), params.transposeA != 0u);
  let ofB = select(vec2u(high, low), vec2u(low, high), params.transposeB != 0u);
  var s00 = vec4f();
  var s01 = vec4f();
  var s10 = vec4f();
  var s11 = vec4f();
  var s20 = vec4f();
  var s21 = vec4f();
  var s30 = vec4f();
  var s31 = vec4f();
  var s40 = vec4f();
  var s41 = vec4f();
  var s50 = vec4f();
  var s51 = vec4f();
  var s60 = vec4f();
  var s61 = vec4f();
  var s70 = vec4f();
  var s71 = vec4f();
  for (var first = part * steps; first < end; first += STEPS) {
    tileA[ofA.x * STRIDE + ofA.y] = rowsOfA(firstRow + ofA.y * 4u, first + ofA.x, end);
    tileB[ofB.x * STRIDE + ofB.y] = columnsOfB(firstCol + ofB.y * 4u, first + ofB.x, end);
    tileA[ofA.x * STRIDE + ofA.y + 16u] = rowsOfA(firstRow + ofA.y * 4u + 64u, first + ofA.x, end);
    tileB[ofB.x * STRIDE + ofB.y + 16u] = columnsOfB(firstCol + ofB.y * 4u + 64u, first + ofB.x, end);
    workgroupBarrier();
    for (var k = 0u; k < STEPS; k++) {
      let a0 = tileA[k * STRIDE + high];
      let b0 = tileB[k * STRIDE + low];
      let a1 = tileA[k * STRIDE + high + 16u];
      let b1 = tileB[k * STRIDE + low + 16u];
      s00 = fma(vec4f(a0.x), b0, s00);
      s01 = fma(vec4f(a0.x), b1, s01);
      s10 = fma(vec4f(a0.y), b0, s10);
      s11 = fma(vec4f(a0.y), b1, s11);
      s20 = fma(vec4f(a0.z), b0, s20);
      s21 = fma(vec4f(a0.z), b1, s21);
      s30 = fma(vec4f(a0.w), b0, s30);
      s31 = fma(vec4f(a0.w), b1, s31);
      s40 = fma(vec4f(a1.x), b0, s40);
      s41 = fma(vec4f(a1.x), b1, s41);
      s50 = fma(vec4f(a1.y), b0, s50);
      s51 = fma(vec4f(a1.y), b1, s51);
      s60 = fma(vec4f(a1.z), b0, s60);
      s61 = fma(vec4f(a1.z), b1, s61);
      s70 = fma(vec4f(a1.w), b0, s70);
      s71 = fma(vec4f(a1.w), b1, s71);
    }
    workgroupBarrier();
  }
  let row = firstRow + high * 4u;
  let col = firstCol + low * 4u;
  putRow(row, col, parts, part, s00);
  putRow(row, col + 64u, parts, part, s01);
  putRow(row + 1u, col, parts, part, s10);
  putRow(row + 1u, col + 64u, parts, part, s11);
  putRow(row + 2u, col, parts, part, s20);
  putRow(row + 2u, col + 64u, parts, part, s21);
  putRow(row + 3u, col, parts, part, s30);
  putRow(row + 3u, col + 64u, parts, part, s31);
  putRow(row + 64u, col, parts, part, s40);
  putRow(row + 64u, col + 64u, parts, part, s41);
  putRow(row + 65u, col, parts, part, s50);
  putRow(row + 65u, col + 64u, parts, part, s51);
  putRow(row + 66u, col, parts, part, s60);
  putRow(row + 66u, col + 64u, parts, part, s61);
  putRow(row + 67u, col, parts, part, s70);
  putRow(row + 67u, col + 64u, parts, part, s71);
}
