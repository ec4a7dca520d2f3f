// Gradients of a mixture's sum, a workgroup an assignment; see reference.ts.
struct Params {
  rows: u32,
  cols: u32,
  top: u32,
  x_at: u32,
  weights_at: u32,
  places_at: u32,
  dOut_at: u32,
  dx_at: u32,
  dWeights_at: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> weights: array<f32>;
@group(0) @binding(3) var<storage, read> places: array<i32>;
@group(0) @binding(4) var<storage, read> dOut: array<f32>;
@group(0) @binding(5) var<storage, read_write> dx: array<f32>;
@group(0) @binding(6) var<storage, read_write> dWeights: array<f32>;

const THREADS = 64u;
var<workgroup> sums: array<f32, THREADS>;

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) own: u32) {
  let at = group.x;
  let to = u32(places[params.places_at + at]) * params.cols;
  let source = params.dOut_at + at / params.top * params.cols;
  let weight = weights[params.weights_at + at];
  var sum = 0.0;
  for (var col = own; col < params.cols; col += THREADS) {
    let d = dOut[source + col];
    sum += x[params.x_at + to + col] * d;
    dx[params.dx_at + to + col] = weight * d;
  }
  sums[own] = sum;
  workgroupBarrier();
  for (var width = THREADS / 2u; width > 0u; width /= 2u) {
    if (own < width) {
      sums[own] += sums[own + width];
    }
    workgroupBarrier();
  }
  if (own == 0u) {
    dWeights[params.dWeights_at + at] = sums[0];
  }
}
