// As base.wgsl, four columns an invocation: `cols` are a multiple of 16.
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
@group(0) @binding(4) var<storage, read_write> out: array<vec4f>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) own: u32) {
  let i = (group.y * 32768u + group.x) * 256u + own;
  let vectors = params.cols / 4u;
  if (i >= params.rows * vectors) {
    return;
  }
  let scale = x_scales[params.x_scales_at + i / vectors];
  out[params.out_at / 4u + i] = vec4f(unpack4xI8(x_q[params.x_q_at + i])) * scale;
}
