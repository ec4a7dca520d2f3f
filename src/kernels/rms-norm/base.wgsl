// out (rows, cols) = x / sqrt(mean(x^2) + eps) * weight, a workgroup a row; see reference.ts.
struct Params {
  rows: u32,
  cols: u32,
  accumulate: u32,
  eps: f32,
  x_at: u32,
  weight_at: u32,
  out_at: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> weight: array<f32>;
@group(0) @binding(3) var<storage, read_write> out: array<f32>;

const THREADS = 256u;
var<workgroup> sums: array<f32, THREADS>;

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) own: u32) {
  let first = group.x * params.cols;
  var sum = 0.0;
  for (var i = own; i < params.cols; i += THREADS) {
    let value = x[params.x_at + first + i];
    sum += value * value;
  }
  sums[own] = sum;
  workgroupBarrier();
  for (var width = THREADS / 2u; width > 0u; width /= 2u) {
    if (own < width) {
      sums[own] += sums[own + width];
    }
    workgroupBarrier();
  }
  let inverse = 1.0 / sqrt(sums[0] / f32(params.cols) + params.eps);
  for (var i = own; i < params.cols; i += THREADS) {
    let at = params.out_at + first + i;
    let y = x[params.x_at + first + i] * inverse * weight[params.weight_at + i];
    if (params.accumulate != 0u) {
      out[at] += y;
    } else {
      out[at] = y;
    }
  }
}
