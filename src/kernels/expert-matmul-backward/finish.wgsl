// Gradients of the weights of experts' products, an invocation an element; see reference.ts.
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

/// Assignments to experts before this one: they are sorted.
fn placesBefore(expert: u32, count: u32) -> u32 {
  var low = 0u;
  var high = count;
  while (low < high) {
    let middle = (low + high) / 2u;
    if (u32(chosen[params.chosen_at + middle]) < expert) {
      low = middle + 1u;
    } else {
      high = middle;
    }
  }
  return low;
}

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) own: u32) {
  let at = (group.y * 32768u + group.x) * 256u + own;
  if (at >= params.experts * params.count * params.cols) {
    return;
  }
  let stacked = at / params.cols;
  let col = at % params.cols;
  let expert = stacked / params.count;
  let row = stacked % params.count;
  let end = placesBefore(expert + 1u, params.rows);
  var sum = 0.0;
  for (var i = placesBefore(expert, params.rows); i < end; i++) {
    sum = fma(dOut[params.dOut_at + i * params.count + row], x[params.x_at + i * params.cols + col], sum);
  }
  dWeights[params.dWeights_at + at] += sum;
}
