// out (1) = the sum of what base.wgsl has left, as many as it has workgroups.
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
fn main(@builtin(local_invocation_index) own: u32) {
  let parts = min((params.rows * params.cols + 4095u) / 4096u, 1024u);
  var mine = 0.0;
  for (var i = own; i < parts; i += THREADS) {
    mine += between[i];
  }
  let sum = sumOf(own, mine);
  if (own == 0u) {
    out[params.out_at] = sum;
  }
}
