// Cross-entropy with its gradient in the logits' place, a workgroup a row; see reference.ts.
struct Params {
  rows: u32,
  cols: u32,
  accumulate: u32,
  logits_at: u32,
  targets_at: u32,
  weights_at: u32,
  losses_at: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> logits: array<f32>;
@group(0) @binding(2) var<storage, read> targets: array<i32>;
@group(0) @binding(3) var<storage, read> weights: array<f32>;
@group(0) @binding(4) var<storage, read_write> losses: array<f32>;

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
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) own: u32) {
  let row = group.x;
  let first = params.logits_at + row * params.cols;
  var largest = -3.4e38;
  for (var i = own; i < params.cols; i += THREADS) {
    largest = max(largest, logits[first + i]);
  }
  lanes[own] = largest;
  workgroupBarrier();
  for (var width = THREADS / 2u; width > 0u; width /= 2u) {
    if (own < width) {
      lanes[own] = max(lanes[own], lanes[own + width]);
    }
    workgroupBarrier();
  }
  largest = lanes[0];
  workgroupBarrier();
  var exponentials = 0.0;
  for (var i = own; i < params.cols; i += THREADS) {
    exponentials += exp(logits[first + i] - largest);
  }
  let sum = sumOf(own, exponentials);
  let wanted = u32(targets[params.targets_at + row]);
  let weight = weights[params.weights_at + row];
  if (own == 0u) {
    let loss = weight * (log(sum) - (logits[first + wanted] - largest));
    let at = params.losses_at + row;
    if (params.accumulate != 0u) {
      losses[at] += loss;
    } else {
      losses[at] = loss;
    }
  }
  workgroupBarrier();
  let inverse = 1.0 / sum;
  for (var i = own; i < params.cols; i += THREADS) {
    let p = exp(logits[first + i] - largest) * inverse;
    logits[first + i] = select(p, p - 1.0, i == wanted) * weight;
  }
}
