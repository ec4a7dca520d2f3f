// As base.wgsl for COLS columns, a multiple of 8, and up to TOKENS tokens a workgroup: an invocation has eight
// neighbouring columns of four rows, 16 bytes of each plane. Sums go in an order that TOKENS does not change.
struct Params {
  rows: u32,
  weights_rows: u32,
  weights_cols: u32,
  weights_type: u32,
  exactStripes: u32,
  x_at: u32,
  weights_data_at: u32,
  weights_scales_at: u32,
  out_at: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4f>;
@group(0) @binding(2) var<storage, read> weights_data: array<vec4u>;
@group(0) @binding(3) var<storage, read> weights_scales: array<f32>;
@group(0) @binding(4) var<storage, read_write> out: array<f32>;

const THREADS = 256u;
const COLS = 2560u;
const TOKENS = 4u;
const COUNT = COLS / 8u;
const MOST_TOKENS = 8u;
const PIECES = 8u;
var<workgroup> partial: array<vec4f, THREADS>;
var<workgroup> pieces: array<f32, PIECES * 16u>;

/// The integers of a word of an int8 matrix.
fn integersOf(word: u32) -> vec4f {
  return vec4f(unpack4xU8(word)) - vec4f(128.0);
}

/// sum + a . b, in order.
fn withProducts(sum: f32, a: vec4f, b: vec4f) -> f32 {
  return fma(a.w, b.w, fma(a.z, b.z, fma(a.y, b.y, fma(a.x, b.x, sum))));
}

/// Adds up a token's sums over the workgroup, and writes its results.
fn finish(own: u32, stripe: u32, token: u32, sums: vec4f) {
  partial[own] = sums;
  workgroupBarrier();
  // Vector 4 k + j has rows 4 j to 4 j + 3.
  if (own < PIECES * 16u) {
    let r = own & 15u;
    let first = 4u * (own >> 4u) + (r >> 2u);
    var piece = 0.0;
    for (var k = 0u; k < THREADS / 4u / PIECES; k++) {
      piece += partial[first + 4u * PIECES * k][r & 3u];
    }
    pieces[own] = piece;
  }
  workgroupBarrier();
  let row = stripe * 16u + own;
  if (own < 16u && token < params.rows && row < params.weights_rows) {
    var sum = pieces[own];
    for (var i = 1u; i < PIECES; i++) {
      sum += pieces[i * 16u + own];
    }
    let at = params.out_at + token * params.weights_rows + row;
    out[at] = sum * weights_scales[params.weights_scales_at + row];
  }
}

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) own: u32) {
  let stripe = group.x;
  let firstToken = group.y * TOKENS;
  let lane = own & 3u;
  let input = params.x_at / 4u + firstToken * (COLS / 4u);
  let plane = ((params.weights_rows + 15u) >> 4u) * COUNT * 4u;
  // A token that is not there counts as the last one, and its sums go nowhere.
  let lastToken = min(TOKENS, params.rows - firstToken) - 1u;
  var sums: array<vec4f, MOST_TOKENS>;
  for (var g = own >> 2u; g < COUNT; g += THREADS / 4u) {
    let at = params.weights_data_at / 4u + (stripe * COUNT + g) * 4u + lane;
    let high = weights_data[at];
    let low = weights_data[at + plane];
    let left = ((high & vec4u(0x0f0f0f0fu)) << vec4u(4u)) | (low & vec4u(0x0f0f0f0fu));
    let right = (high & vec4u(0xf0f0f0f0u)) | ((low >> vec4u(4u)) & vec4u(0x0f0f0f0fu));
    for (var r = 0u; r < 4u; r++) {
      let w = integersOf(left[r]);
      let next = integersOf(right[r]);
      for (var t = 0u; t < TOKENS; t++) {
        let v = input + min(t, lastToken) * (COLS / 4u) + 2u * g;
        sums[t][r] = withProducts(withProducts(sums[t][r], w, x[v]), next, x[v + 1u]);
      }
    }
  }
  // Indices are written out: drivers keep in registers what they need not look up.
  finish(own, stripe, firstToken, sums[0]);
  if (TOKENS > 1u) {
    finish(own, stripe, firstToken + 1u, sums[1]);
  }
  if (TOKENS > 2u) {
    finish(own, stripe, firstToken + 2u, sums[2]);
    finish(own, stripe, firstToken + 3u, sums[3]);
  }
  if (TOKENS > 4u) {
    finish(own, stripe, firstToken + 4u, sums[4]);
    finish(own, stripe, firstToken + 5u, sums[5]);
    finish(own, stripe, firstToken + 6u, sums[6]);
    finish(own, stripe, firstToken + 7u, sums[7]);
  }
}
