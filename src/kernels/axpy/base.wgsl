// out (rows, cols) = scale * x, or out + scale * x; x is not looked at where the scale is 0. See reference.ts.
struct Params {
  rows: u32,
  cols: u32,
  accumulate: u32,
  scale: f32,
  x_at: u32,
  out_at: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) own: u32) {
  let i = (group.y * 32768u + group.x) * 256u + own;
  if (i >= params.rows * params.cols) {
    return;
  }
  var scaled = 0.0;
  if (params.scale != 0.0) {
    scaled = params.scale * x[params.x_at + i];
  }
  if (params.accumulate != 0u) {
    out[params.out_at + i] += scaled;
  } else {
    out[params.out_at + i] = scaled;
  }
}
