// out (rows, matrix.cols) = the values of a ternary matrix of 2 bits, code * scale; see reference.ts.
struct Params {
  rows: u32,
  matrix_rows: u32,
  matrix_cols: u32,
  matrix_packing: u32,
  matrix_order: u32,
  matrix_data_at: u32,
  matrix_scales_at: u32,
  out_at: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> matrix_data: array<u32>;
@group(0) @binding(2) var<storage, read> matrix_scales: array<f32>;
@group(0) @binding(3) var<storage, read_write> out: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) own: u32) {
  let col = group.x * 64u + own;
  if (col >= params.matrix_cols) {
    return;
  }
  let row = group.y;
  let tiles = (params.matrix_cols + 15u) >> 4u;
  let word = matrix_data[params.matrix_data_at + ((row >> 4u) * tiles + (col >> 4u)) * 16u + (row & 15u)];
  let code = (word >> (8u * (col & 3u) + 2u * ((col >> 2u) & 3u))) & 3u;
  let scale = matrix_scales[params.matrix_scales_at + row];
  out[params.out_at + row * params.matrix_cols + col] = (f32(code) - 1.0) * scale;
}
