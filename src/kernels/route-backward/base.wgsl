// The gradient of a router's logits, an invocation a row; see reference.ts.
struct Params {
  rows: u32,
  experts: u32,
  top: u32,
  balance: f32,
  logits_at: u32,
  weights_at: u32,
  places_at: u32,
  chosen_at: u32,
  dWeights_at: u32,
  counts_at: u32,
  dLogits_at: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> logits: array<f32>;
@group(0) @binding(2) var<storage, read> weights: array<f32>;
@group(0) @binding(3) var<storage, read> places: array<i32>;
@group(0) @binding(4) var<storage, read> chosen: array<i32>;
@group(0) @binding(5) var<storage, read> dWeights: array<f32>;
@group(0) @binding(6) var<storage, read> counts: array<f32>;
@group(0) @binding(7) var<storage, read_write> dLogits: array<f32>;

const THREADS = 64u;
const MAX_EXPERTS = 1024u;
var<workgroup> shares: array<f32, MAX_EXPERTS>;

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

@compute @workgroup_size(THREADS)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(local_invocation_index) own: u32) {
  let count = params.rows * params.top;
  for (var expert = own; expert < params.experts; expert += THREADS) {
    shares[expert] = f32(placesBefore(expert + 1u, count) - placesBefore(expert, count)) / f32(count);
  }
  workgroupBarrier();
  let row = id.x;
  if (row >= params.rows) {
    return;
  }
  let x = params.logits_at + row * params.experts;
  let d = params.dLogits_at + row * params.experts;
  var largest = logits[x];
  for (var expert = 1u; expert < params.experts; expert++) {
    largest = max(largest, logits[x + expert]);
  }
  var sum = 0.0;
  for (var expert = 0u; expert < params.experts; expert++) {
    let power = exp(max(logits[x + expert] - largest, -87.0));
    dLogits[d + expert] = power;
    sum += power;
  }
  var mean = 0.0;
  for (var expert = 0u; expert < params.experts; expert++) {
    mean += dLogits[d + expert] / sum * shares[expert];
  }
  let factor = counts[params.counts_at + row] * params.balance;
  for (var expert = 0u; expert < params.experts; expert++) {
    dLogits[d + expert] = factor * (dLogits[d + expert] / sum) * (shares[expert] - mean);
  }
  var inner = 0.0;
  for (var at = row * params.top; at < (row + 1u) * params.top; at++) {
    inner += weights[params.weights_at + at] * dWeights[params.dWeights_at + at];
  }
  for (var at = row * params.top; at < (row + 1u) * params.top; at++) {
    let expert = u32(chosen[params.chosen_at + u32(places[params.places_at + at])]);
    dLogits[d + expert] += weights[params.weights_at + at] * (dWeights[params.dWeights_at + at] - inner);
  }
}
