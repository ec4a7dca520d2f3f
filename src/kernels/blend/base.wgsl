// out = x + share (out - x), an invocation an element; see reference.ts.
struct Params {
  rows: u32,
  cols: u32,
  x_at: u32,
  out_at: u32,
  share_at: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;
@group(0) @binding(3) var<storage, read> share: array<f32>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) own: u32) {
  let i = (group.y * 32768u + group.x) * 256u + own;
  if (i >= params.rows * params.cols) {
    return;
  }
  let start = x[params.x_at + i];
  let at = params.out_at + i;
  out[at] = start + share[params.share_at] * (out[at] - start);
}
