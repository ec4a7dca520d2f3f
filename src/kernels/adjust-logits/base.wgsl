// Logits with biases, penalties and a mask, a workgroup a row; see reference.ts. Each token that has occurred
// has one thread: that of its first place.
struct Params {
  rows: u32,
  cols: u32,
  biasCount: u32,
  capacity: u32,
  logits_at: u32,
  step_at: u32,
  index_at: u32,
  amounts_at: u32,
  biasTokens_at: u32,
  history_at: u32,
  mask_at: u32,
  out_at: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> logits: array<u32>;
@group(0) @binding(2) var<storage, read> step: array<i32>;
@group(0) @binding(3) var<storage, read> index: array<i32>;
@group(0) @binding(4) var<storage, read> amounts: array<f32>;
@group(0) @binding(5) var<storage, read> biasTokens: array<i32>;
@group(0) @binding(6) var<storage, read> history: array<i32>;
@group(0) @binding(7) var<storage, read> mask: array<u32>;
@group(0) @binding(8) var<storage, read_write> out: array<u32>;

const THREADS = 256u;
const STEP_WORDS = 4u;
const PENALTY_FLOATS = 4u;
const ABSENT = 0xffffffffu;
const MINUS_INFINITY_BITS = 0xff800000u;

fn penalise(row: u32, own: u32, first: u32, values: u32) {
  let repetition = amounts[values];
  let presence = amounts[values + 1u];
  let frequency = amounts[values + 2u];
  let answer = amounts[values + 3u];
  if (repetition == 1.0 && presence == 0.0 && frequency == 0.0) {
    return;
  }
  let entry = params.step_at + u32(index[params.index_at + row]) * STEP_WORDS;
  let past = params.history_at + u32(step[entry + 1u]) * params.capacity;
  let count = u32(step[entry + 2u]) + 1u;
  for (var place = own; place < count; place += THREADS) {
    let token = history[past + place];
    var earlier = 0u;
    while (earlier < place && history[past + earlier] != token) {
      earlier++;
    }
    if (earlier < place) {
      continue;
    }
    var x = bitcast<f32>(out[first + u32(token)]);
    x = select(x * repetition, x / repetition, x > 0.0);
    var isAnswered = false;
    for (var later = place; later < count; later++) {
      if (history[past + later] != token || f32(later) < answer) {
        continue;
      }
      if (!isAnswered) {
        x -= presence;
      }
      isAnswered = true;
      x -= frequency;
    }
    out[first + u32(token)] = bitcast<u32>(x);
  }
}

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) own: u32) {
  let row = group.x;
  let source = params.logits_at + row * params.cols;
  let first = params.out_at + row * params.cols;
  for (var token = own; token < params.cols; token += THREADS) {
    out[first + token] = logits[source + token];
  }
  storageBarrier();
  let values = params.amounts_at + row * (PENALTY_FLOATS + params.biasCount);
  if (params.biasTokens_at != ABSENT) {
    for (var i = own; i < params.biasCount; i += THREADS) {
      let bias = amounts[values + PENALTY_FLOATS + i];
      if (bias == 0.0) {
        continue;
      }
      let at = first + u32(biasTokens[params.biasTokens_at + row * params.biasCount + i]);
      out[at] = bitcast<u32>(bitcast<f32>(out[at]) + bias);
    }
  }
  storageBarrier();
  if (params.history_at != ABSENT) {
    penalise(row, own, first, values);
  }
  storageBarrier();
  if (params.mask_at != ABSENT) {
    let allowed = params.mask_at + row * ((params.cols + 31u) / 32u);
    for (var token = own; token < params.cols; token += THREADS) {
      if (((mask[allowed + (token >> 5u)] >> (token & 31u)) & 1u) == 0u) {
        out[first + token] = MINUS_INFINITY_BITS;
      }
    }
  }
}
