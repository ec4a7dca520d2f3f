// Adds what base.wgsl has left of each 16 rows to dWeight (cols): 16 columns a workgroup, 16 invocations each.
struct Params {
  rows: u32,
  cols: u32,
  accumulate: u32,
  eps: f32,
  x_at: u32,
  weight_at: u32,
  dOut_at: u32,
  dx_at: u32,
  dWeight_at: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> weight: array<f32>;
@group(0) @binding(3) var<storage, read> dOut: array<f32>;
@group(0) @binding(4) var<storage, read_write> dx: array<f32>;
@group(0) @binding(5) var<storage, read_write> dWeight: array<f32>;
@group(0) @binding(6) var<storage, read_write> between: array<f32>;

const ROWS = 16u;
var<workgroup> lanes: array<f32, 256>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) own: u32) {
  let col = group.x * 16u + (own & 15u);
  let parts = (params.rows + ROWS - 1u) / ROWS;
  var sum = 0.0;
  if (col < params.cols) {
    for (var part = own >> 4u; part < parts; part += 16u) {
      sum += between[part * params.cols + col];
    }
  }
  lanes[own] = sum;
  workgroupBarrier();
  for (var width = 128u; width >= 16u; width /= 2u) {
    if (own < width) {
      lanes[own] += lanes[own + width];
    }
    workgroupBarrier();
  }
  if (own < 16u && col < params.cols) {
    dWeight[params.dWeight_at + col] += lanes[own];
  }
}
