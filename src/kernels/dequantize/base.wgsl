// out (rows, cols) = the values of int8 activations, q * scale; see reference.ts.
struct Params {
  rows: u32,
  cols: u32,
  x_q_at: u32,
  x_scales_at: u32,
  x_sums_at: u32,
  out_at: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x_q: array<u32>;
@group(0) @binding(2) var<storage, read> x_scales: array<f32>;
@group(0) @binding(3) var<storage, read> x_sums: array<i32>;
@group(0) @binding(4) var<storage, read_write> out: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) own: u32) {
  let col = group.x * 64u + own;
  if (col >= params.cols) {
    return;
  }
  let row = group.y;
  let words = ((params.cols + 15u) >> 4u) * 4u;
  let word = x_q[params.x_q_at + row * words + (col >> 2u)];
  let q = bitcast<i32>(word << (24u - 8u * (col & 3u))) >> 24u;
  out[params.out_at + row * params.cols + col] = f32(q) * x_scales[params.x_scales_at + row];
}
