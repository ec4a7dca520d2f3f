// What logits say of tokens, a workgroup a pair (row of logits, token); see reference.ts.
struct Params {
  rows: u32,
  cols: u32,
  logits_at: u32,
  pairs_at: u32,
  out_at: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> logits: array<f32>;
@group(0) @binding(2) var<storage, read> pairs: array<i32>;
@group(0) @binding(3) var<storage, read_write> out: array<f32>;

const THREADS = 256u;
var<workgroup> values: array<f32, THREADS>;
var<workgroup> places: array<u32, THREADS>;

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) own: u32) {
  let pair = params.pairs_at + group.x * 2u;
  let first = params.logits_at + u32(pairs[pair]) * params.cols;
  let token = u32(pairs[pair + 1u]);
  // The largest logit and its first place; threads without one name a place behind all.
  var largest = -3.4028234e38;
  var place = params.cols;
  for (var i = own; i < params.cols; i += THREADS) {
    let logit = logits[first + i];
    if (place == params.cols || logit > largest) {
      largest = logit;
      place = i;
    }
  }
  values[own] = largest;
  places[own] = place;
  workgroupBarrier();
  for (var width = THREADS / 2u; width > 0u; width /= 2u) {
    if (own < width) {
      let other = values[own + width];
      let isHigher = other > values[own] || places[own] == params.cols;
      let isFirst = other == values[own] && places[own + width] < places[own];
      if (places[own + width] != params.cols && (isHigher || isFirst)) {
        values[own] = other;
        places[own] = places[own + width];
      }
    }
    workgroupBarrier();
  }
  largest = values[0];
  place = places[0];
  workgroupBarrier();
  var sum = 0.0;
  for (var i = own; i < params.cols; i += THREADS) {
    sum += exp(max(logits[first + i] - largest, -87.0));
  }
  values[own] = sum;
  workgroupBarrier();
  for (var width = THREADS / 2u; width > 0u; width /= 2u) {
    if (own < width) {
      values[own] += values[own + width];
    }
    workgroupBarrier();
  }
  if (own == 0u) {
    let at = params.out_at + group.x * 3u;
    out[at] = logits[first + token] - largest;
    out[at + 1u] = values[0];
    out[at + 2u] = select(0.0, 1.0, place == token);
  }
}
