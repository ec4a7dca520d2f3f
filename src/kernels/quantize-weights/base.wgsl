// Sums of the magnitudes and of the weights of a stripe of 16 rows each, in two floats; see reference.ts.
struct Params {
  rows: u32,
  out_rows: u32,
  out_cols: u32,
  out_packing: u32,
  out_order: u32,
  mode: u32,
  latents_at: u32,
  out_data_at: u32,
  out_scales_at: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> latents: array<f32>;
@group(0) @binding(2) var<storage, read_write> out_data: array<u32>;
@group(0) @binding(3) var<storage, read_write> out_scales: array<f32>;
@group(0) @binding(4) var<storage, read_write> between: array<f32>;

const THREADS = 256u;
var<workgroup> pairs: array<vec4f, THREADS>;

/// The sum of two numbers that are two floats each, the second what the first has lost (Knuth's two-sum).
fn sumOfPairs(a: vec2f, b: vec2f) -> vec2f {
  let sum = a.x + b.x;
  let second = sum - a.x;
  return vec2f(sum, a.y + b.y + ((a.x - (sum - second)) + (b.x - second)));
}

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) own: u32) {
  let first = group.x * 16u * params.out_cols;
  let end = min((group.x + 1u) * 16u, params.rows) * params.out_cols;
  var magnitudes = vec2f();
  var values = vec2f();
  for (var i = first + own; i < end; i += THREADS) {
    let w = latents[params.latents_at + i];
    magnitudes = sumOfPairs(magnitudes, vec2f(abs(w), 0.0));
    values = sumOfPairs(values, vec2f(w, 0.0));
  }
  pairs[own] = vec4f(magnitudes, values);
  workgroupBarrier();
  for (var width = THREADS / 2u; width > 0u; width /= 2u) {
    if (own < width) {
      let a = pairs[own];
      let b = pairs[own + width];
      pairs[own] = vec4f(sumOfPairs(a.xy, b.xy), sumOfPairs(a.zw, b.zw));
    }
    workgroupBarrier();
  }
  if (own < 4u) {
    between[group.x * 4u + own] = pairs[0][own];
  }
}
