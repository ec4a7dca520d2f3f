// Which experts each row goes to, an invocation a row; their numbers lie in `between`, and finish.wgsl sorts. See
// reference.ts.
struct Params {
  rows: u32,
  experts: u32,
  top: u32,
  logits_at: u32,
  weights_at: u32,
  places_at: u32,
  sources_at: u32,
  chosen_at: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> logits: array<f32>;
@group(0) @binding(2) var<storage, read_write> weights: array<f32>;
@group(0) @binding(3) var<storage, read_write> places: array<i32>;
@group(0) @binding(4) var<storage, read_write> sources: array<i32>;
@group(0) @binding(5) var<storage, read_write> chosen: array<i32>;
@group(0) @binding(6) var<storage, read_write> between: array<i32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let row = id.x;
  if (row >= params.rows) {
    return;
  }
  let x = params.logits_at + row * params.experts;
  let ids = row * params.top;
  let own = params.weights_at + ids;
  var largest = 0.0;
  var sum = 0.0;
  for (var rank = 0u; rank < params.top; rank++) {
    var best = -1;
    var most = 0.0;
    for (var expert = 0u; expert < params.experts; expert++) {
      var isTaken = false;
      for (var before = 0u; before < rank; before++) {
        isTaken = isTaken || between[ids + before] == i32(expert);
      }
      let value = logits[x + expert];
      if (!isTaken && (best < 0 || value > most)) {
        best = i32(expert);
        most = value;
      }
    }
    between[ids + rank] = best;
    if (rank == 0u) {
      largest = most;
    }
    let weight = exp(clamp(most - largest, -87.0, 88.0));
    weights[own + rank] = weight;
    sum += weight;
  }
  for (var rank = 0u; rank < params.top; rank++) {
    weights[own + rank] /= sum;
  }
}
