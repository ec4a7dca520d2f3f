// out (rows, cols) = A B of row-major float32 matrices, either of them transposed; see reference.ts. A workgroup
// has a tile of 64 x 64, or twice that with two BLOCKS; an invocation has 4 x 4 of each 64 x 64, in order over
// `inner`, or over a part of it where the result has few tiles: finish.wgsl then adds the parts.
struct Params {
  rows: u32,
  cols: u32,
  inner: u32,
  transposeA: u32,
  transposeB: u32,
  accumulate: u32,
  a_at: u32,
  b_at: u32,
  out_at: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> a: array<f32>;
@group(0) @binding(2) var<storage, read> b: array<f32>;
@group(0) @binding(3) var<storage, read_write> out: array<f32>;
@group(0) @binding(4) var<storage, read_write> between: array<f32>;

const BLOCKS = 1u;
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
  var sums = array<vec4f, 4u * BLOCKS * BLOCKS>();
  for (var first = part * steps; first < end; first += STEPS) {
    for (var i = 0u; i < BLOCKS; i++) {
      let quadA = ofA.y + i * 16u;
      let quadB = ofB.y + i * 16u;
      tileA[ofA.x * STRIDE + quadA] = rowsOfA(firstRow + quadA * 4u, first + ofA.x, end);
      tileB[ofB.x * STRIDE + quadB] = columnsOfB(firstCol + quadB * 4u, first + ofB.x, end);
    }
    workgroupBarrier();
    for (var k = 0u; k < STEPS; k++) {
      for (var i = 0u; i < BLOCKS; i++) {
        let rows = tileA[k * STRIDE + i * 16u + high];
        for (var j = 0u; j < BLOCKS; j++) {
          let columns = tileB[k * STRIDE + j * 16u + low];
          let at = (i * BLOCKS + j) * 4u;
          sums[at] = fma(vec4f(rows.x), columns, sums[at]);
          sums[at + 1u] = fma(vec4f(rows.y), columns, sums[at + 1u]);
          sums[at + 2u] = fma(vec4f(rows.z), columns, sums[at + 2u]);
          sums[at + 3u] = fma(vec4f(rows.w), columns, sums[at + 3u]);
        }
      }
    }
    workgroupBarrier();
  }
  for (var i = 0u; i < BLOCKS; i++) {
    for (var j = 0u; j < BLOCKS; j++) {
      for (var r = 0u; r < 4u; r++) {
        let row = firstRow + (i * 16u + high) * 4u + r;
        let values = sums[(i * BLOCKS + j) * 4u + r];
        for (var c = 0u; c < 4u; c++) {
          let col = firstCol + (j * 16u + low) * 4u + c;
          if (row < params.rows && col < params.cols) {
            let at = row * params.cols + col;
            if (parts > 1u) {
              between[part * params.rows * params.cols + at] = values[c];
            } else if (params.accumulate != 0u) {
              out[params.out_at + at] += values[c];
            } else {
              out[params.out_at + at] = values[c];
            }
          }
        }
      }
    }
  }
}
