// Adds up the parts that base.wgsl has left, in order: an invocation an element.
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

/// Parts of `inner`; see op.ts.
fn partCount() -> u32 {
  let tiles = ((params.rows + 63u) / 64u) * ((params.cols + 63u) / 64u);
  return min((params.inner + 255u) / 256u, (tiles + 1023u) / tiles);
}

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) own: u32) {
  let i = (group.y * 32768u + group.x) * 256u + own;
  let count = params.rows * params.cols;
  if (i >= count) {
    return;
  }
  var sum = 0.0;
  if (params.accumulate != 0u) {
    sum = out[params.out_at + i];
  }
  let parts = partCount();
  for (var part = 0u; part < parts; part++) {
    sum += between[part * count + i];
  }
  out[params.out_at + i] = sum;
}
