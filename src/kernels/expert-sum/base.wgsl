// Adds to each row its experts' results times their weights; see reference.ts.
struct Params {
  rows: u32,
  cols: u32,
  top: u32,
  x_at: u32,
  weights_at: u32,
  places_at: u32,
  out_at: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> weights: array<f32>;
@group(0) @binding(3) var<storage, read> places: array<i32>;
@group(0) @binding(4) var<storage, read_write> out: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) own: u32) {
  let col = group.x * 64u + own;
  if (col >= params.cols) {
    return;
  }
  let row = group.y;
  var sum = 0.0;
  for (var at = row * params.top; at < (row + 1u) * params.top; at++) {
    let place = u32(places[params.places_at + at]);
    sum += weights[params.weights_at + at] * x[params.x_at + place * params.cols + col];
  }
  out[params.out_at + row * params.cols + col] += sum;
}
