// out (rows, cols) = the rows of x named by `index`, bit for bit.
struct Params {
  rows: u32,
  cols: u32,
  x_at: u32,
  index_at: u32,
  out_at: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<u32>;
@group(0) @binding(2) var<storage, read> index: array<i32>;
@group(0) @binding(3) var<storage, read_write> out: array<u32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) own: u32) {
  let col = group.x * 64u + own;
  if (col >= params.cols) {
    return;
  }
  let row = group.y;
  let source = u32(index[params.index_at + row]);
  out[params.out_at + row * params.cols + col] = x[params.x_at + source * params.cols + col];
}
