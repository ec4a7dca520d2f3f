// Gradients of the rows of experts' products, an invocation an element; finish.wgsl has those of the weights. See
// reference.ts.
struct Params {
  rows: u32,
  cols: u32,
  count: u32,
  experts: u32,
  x_at: u32,
  weights_at: u32,
  chosen_at: u32,
  dOut_at: u32,
  dx_at: u32,
  dWeights_at: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> weights: array<f32>;
@group(0) @binding(3) var<storage, read> chosen: array<i32>;
@group(0) @binding(4) var<storage, read> dOut: array<f32>;
@group(0) @binding(5) var<storage, read_write> dx: array<f32>;
@group(0) @binding(6) var<storage, read_write> dWeights: array<f32>;
@group(0) @binding(7) var<storage, read_write> between: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) own: u32) {
  let col = group.x * 64u + own;
  if (col >= params.cols) {
    return;
  }
  let row = group.y;
  let matrix = u32(chosen[params.chosen_at + row]) * params.count;
  var sum = 0.0;
  for (var k = 0u; k < params.count; k++) {
    let weight = weights[params.weights_at + (matrix + k) * params.cols + col];
    sum = fma(dOut[params.dOut_at + row * params.count + k], weight, sum);
  }
  dx[params.dx_at + row * params.cols + col] = sum;
}
