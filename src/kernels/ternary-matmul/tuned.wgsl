// As base.wgsl for up to TOKENS tokens a workgroup, 2-bit weights and COLS columns, a multiple of 16. A workgroup
// has a stripe of 16 rows; a vector of weights is the words of four rows in a tile: 16 columns of each.
struct Params {
  rows: u32,
  weights_rows: u32,
  weights_cols: u32,
  weights_packing: u32,
  weights_order: u32,
  first: u32,
  count: u32,
  accumulate: u32,
  x_q_at: u32,
  x_scales_at: u32,
  x_sums_at: u32,
  weights_data_at: u32,
  weights_scales_at: u32,
  out_at: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x_q: array<vec4u>;
@group(0) @binding(2) var<storage, read> x_scales: array<f32>;
@group(0) @binding(3) var<storage, read> x_sums: array<i32>;
@group(0) @binding(4) var<storage, read> weights_data: array<vec4u>;
@group(0) @binding(5) var<storage, read> weights_scales: array<f32>;
@group(0) @binding(6) var<storage, read_write> out: array<f32>;

const THREADS = 256u;
const COLS = 2560u;
const TOKENS = 4u;
const COUNT = COLS / 4u;
const MOST_TOKENS = 8u;
const PIECES = 8u;
var<workgroup> partial: array<vec4i, THREADS>;
var<workgroup> pieces: array<i32, PIECES * 16u>;

/// Four bytes of each of four rows, with the same four activations.
fn dots(codes: vec4u, q: u32) -> vec4i {
  return vec4i(
    dot4I8Packed(codes.x, q),
    dot4I8Packed(codes.y, q),
    dot4I8Packed(codes.z, q),
    dot4I8Packed(codes.w, q),
  );
}

/// What 16 columns of four rows add to a token's sums.
fn products(word: vec4u, at: u32) -> vec4i {
  let q = x_q[at];
  return (dots(word & vec4u(0x03030303u), q.x) + dots((word >> vec4u(2u)) & vec4u(0x03030303u), q.y)) +
    (dots((word >> vec4u(4u)) & vec4u(0x03030303u), q.z) + dots((word >> vec4u(6u)) & vec4u(0x03030303u), q.w));
}

/// Adds up a token's sums over the workgroup, and writes its results.
fn finish(own: u32, stripe: u32, token: u32, sums: vec4i) {
  partial[own] = sums;
  workgroupBarrier();
  // Invocation 4 k + j has rows 4 j to 4 j + 3.
  if (own < PIECES * 16u) {
    let r = own & 15u;
    let first = 4u * (own >> 4u) + (r >> 2u);
    var piece = 0;
    for (var k = 0u; k < THREADS / 4u / PIECES; k++) {
      piece += partial[first + 4u * PIECES * k][r & 3u];
    }
    pieces[own] = piece;
  }
  workgroupBarrier();
  let row = stripe * 16u + own;
  if (own < 16u && token < params.rows && row < params.first + params.count) {
    var dot = -x_sums[params.x_sums_at + token];
    for (var i = 0u; i < PIECES; i++) {
      dot += pieces[i * 16u + own];
    }
    let scale = x_scales[params.x_scales_at + token] * weights_scales[params.weights_scales_at + row];
    let at = params.out_at + token * params.weights_rows + row;
    if (params.accumulate != 0u) {
      out[at] = fma(f32(dot), scale, out[at]);
    } else {
      out[at] = f32(dot) * scale;
    }
  }
}

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) own: u32) {
  let stripe = (params.first >> 4u) + group.x;
  let token = group.y * TOKENS;
  let data = params.weights_data_at / 4u + stripe * COUNT;
  let width = COLS / 16u;
  let q = params.x_q_at / 4u + token * width;
  // A token that is not there counts as the last one, and its sums go nowhere.
  let last = min(TOKENS, params.rows - token) - 1u;

  // Indices are written out: drivers keep in registers what they need not look up.
  var sums: array<vec4i, MOST_TOKENS>;
  for (var v = own; v < COUNT; v += THREADS) {
    let word = weights_data[data + v];
    let at = q + (v >> 2u);
    sums[0] += products(word, at);
    if (TOKENS > 1u) {
      sums[1] += products(word, at + min(1u, last) * width);
    }
    if (TOKENS > 2u) {
      sums[2] += products(word, at + min(2u, last) * width);
      sums[3] += products(word, at + min(3u, last) * width);
    }
    if (TOKENS > 4u) {
      sums[4] += products(word, at + min(4u, last) * width);
      sums[5] += products(word, at + min(5u, last) * width);
      sums[6] += products(word, at + min(6u, last) * width);
      sums[7] += products(word, at + min(7u, last) * width);
    }
  }
  finish(own, stripe, token, sums[0]);
  if (TOKENS > 1u) {
    finish(own, stripe, token + 1u, sums[1]);
  }
  if (TOKENS > 2u) {
    finish(own, stripe, token + 2u, sums[2]);
    finish(own, stripe, token + 3u, sums[3]);
  }
  if (TOKENS > 4u) {
    finish(own, stripe, token + 4u, sums[4]);
    finish(own, stripe, token + 5u, sums[5]);
    finish(own, stripe, token + 6u, sums[6]);
    finish(own, stripe, token + 7u, sums[7]);
  }
}
