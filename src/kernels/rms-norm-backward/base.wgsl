// dx (rows, cols) of an RMSNorm, and of each 16 rows their part of dWeight; see reference.ts.
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

const THREADS = 256u;
const ROWS = 16u;
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
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) own: u32) {
  let cols = params.cols;
  let part = group.x * cols;
  let end = min(params.rows, (group.x + 1u) * ROWS);
  for (var row = group.x * ROWS; row < end; row++) {
    let first = row * cols;
    var squares = 0.0;
    var products = 0.0;
    for (var i = own; i < cols; i += THREADS) {
      let value = x[params.x_at + first + i];
      squares += value * value;
      products += dOut[params.dOut_at + first + i] * weight[params.weight_at + i] * value;
    }
    let inverse = 1.0 / sqrt(sumOf(own, squares) / f32(cols) + params.eps);
    let along = inverse * inverse * (sumOf(own, products) / f32(cols));
    for (var i = own; i < cols; i += THREADS) {
      let value = x[params.x_at + first + i];
      let d = dOut[params.dOut_at + first + i];
      let at = params.dx_at + first + i;
      let gradient = (d * weight[params.weight_at + i] - value * along) * inverse;
      if (params.accumulate != 0u) {
        dx[at] += gradient;
      } else {
        dx[at] = gradient;
      }
      let sum = select(between[part + i], 0.0, row % ROWS == 0u);
      between[part + i] = sum + d * (value * inverse);
    }
  }
}
