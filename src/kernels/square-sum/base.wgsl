// The sums of the squares of a part of x each, by as many workgroups as there are; see reference.ts.
struct Params {
  rows: u32,
  cols: u32,
  x_at: u32,
  out_at: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;
@group(0) @binding(3) var<storage, read_write> between: array<f32>;

const THREADS = 256u;
var<workgroup> lanes: array<f32, THREADS>;

/// The sum over the workgroup.
fn sumOf(own: u32, value: f32) -> f32 {
  lanes[own] = value;
  workgroupBarrier();
  for (var width = THREADS / 2u; width > 0u; width /= 2u) {
    if (own < width) {
      lanes[own] += lanes[own + width];
    }
    workgroupBarrier();
  }
  let sum = lanes[0];
  workgroupBarrier();
  return sum;
}

@compute @workgroup_size(THREADS)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) own: u32,
) {
  let count = params.rows * params.cols;
  var squares = 0.0;
  for (var i = group.x * THREADS + own; i < count; i += groups.x * THREADS) {
    let value = x[params.x_at + i];
    squares += value * value;
  }
  let sum = sumOf(own, squares);
  if (own == 0u) {
    between[group.x] = sum;
  }
}
