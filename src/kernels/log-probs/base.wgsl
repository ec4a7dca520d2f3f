// What logits say of a drawn token and of the likeliest, a workgroup a row; see reference.ts.
struct Params {
  rows: u32,
  cols: u32,
  count: u32,
  logits_at: u32,
  tokens_at: u32,
  out_at: u32,
  ids_at: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> logits: array<f32>;
@group(0) @binding(2) var<storage, read> tokens: array<i32>;
@group(0) @binding(3) var<storage, read_write> out: array<f32>;
@group(0) @binding(4) var<storage, read_write> ids: array<i32>;

const THREADS = 256u;
const KEY_OF_MINUS_INFINITY = 0x007fffffu;
const LAST_TOKEN = 0xffffffffu;
var<workgroup> values: array<u32, THREADS>;
var<workgroup> places: array<u32, THREADS>;
var<workgroup> sums: array<f32, THREADS>;

/// Larger logits have larger keys, zeros of both signs the same.
fn keyOf(bits: u32) -> u32 {
  if (bits == 0x80000000u) {
    return 0x80000000u;
  }
  return select(bits | 0x80000000u, ~bits, bits >= 0x80000000u);
}

/// The first in the ranking behind (key, token); all threads call it, and find it at place 0.
fn nextBest(own: u32, first: u32, key: u32, token: u32) {
  var largest = KEY_OF_MINUS_INFINITY;
  var place = LAST_TOKEN;
  for (var i = own; i < params.cols; i += THREADS) {
    let its = keyOf(bitcast<u32>(logits[first + i]));
    if (its > largest && (its < key || (its == key && i > token))) {
      largest = its;
      place = i;
    }
  }
  values[own] = largest;
  places[own] = place;
  workgroupBarrier();
  for (var width = THREADS / 2u; width > 0u; width /= 2u) {
    if (own < width) {
      let other = values[own + width];
      if (other > values[own] || (other == values[own] && places[own + width] < places[own])) {
        values[own] = other;
        places[own] = places[own + width];
      }
    }
    workgroupBarrier();
  }
}

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) own: u32) {
  let row = group.x;
  let first = params.logits_at + row * params.cols;
  let at = params.out_at + row * (params.count + 2u);
  // A number that the compiler does not know, since it takes no infinity for one.
  let minusInfinity = bitcast<f32>(0xff800000u | (params.rows & 0u));
  var key = 0xffffffffu;
  var token = LAST_TOKEN;
  var largest = 0.0;
  for (var i = 0u; i < params.count; i++) {
    if (i == 0u || token != LAST_TOKEN) {
      nextBest(own, first, key, token);
      key = workgroupUniformLoad(&values[0]);
      token = workgroupUniformLoad(&places[0]);
    }
    if (i == 0u && token != LAST_TOKEN) {
      largest = logits[first + token];
    }
    if (own == 0u) {
      if (token == LAST_TOKEN) {
        out[at + 2u + i] = minusInfinity;
        ids[params.ids_at + row * params.count + i] = 0;
      } else {
        out[at + 2u + i] = logits[first + token] - largest;
        ids[params.ids_at + row * params.count + i] = i32(token);
      }
    }
  }
  var sum = 0.0;
  for (var i = own; i < params.cols; i += THREADS) {
    sum += exp(max(logits[first + i] - largest, -87.0));
  }
  sums[own] = sum;
  workgroupBarrier();
  for (var width = THREADS / 2u; width > 0u; width /= 2u) {
    if (own < width) {
      sums[own] += sums[own + width];
    }
    workgroupBarrier();
  }
  if (own == 0u) {
    let drawn = tokens[params.tokens_at + row];
    out[at] = 0.0;
    if (drawn >= 0 && u32(drawn) < params.cols) {
      out[at] = logits[first + u32(drawn)] - largest;
    }
    out[at + 1u] = sums[0];
  }
}
