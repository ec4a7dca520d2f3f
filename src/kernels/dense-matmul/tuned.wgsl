// As base.wgsl for COLS columns, a multiple of 4, weights of one TYPE of floats, and up to TOKENS tokens a workgroup. An
// invocation has four neighbouring columns of 4 rows (8 with f16), so that it reads 16 bytes at once; sums of
// its columns and then of the invocations go in an order that TOKENS does not change.
struct Params {
  rows: u32,
  weights_rows: u32,
  weights_cols: u32,
  weights_type: u32,
  accumulate: u32,
  wholeInput: u32,
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
/// 0 f32, 1 f16.
const TYPE = 1u;
const TOKENS = 4u;
const COUNT = COLS / 4u;
/// Vectors of four results that an invocation has of a token.
const QUADS = select(1u, 2u, TYPE == 1u);
/// Invocations that share their columns.
const SHARERS = 4u / QUADS;
const MOST_TOKENS = 8u;
const PIECES = 8u;
var<workgroup> partial: array<vec4f, THREADS * QUADS>;
var<workgroup> pieces: array<f32, PIECES * 16u>;

/// Adds up a token's sums over the workgroup, and writes its results.
fn finish(own: u32, stripe: u32, token: u32, low: vec4f, high: vec4f) {
  if (TYPE == 1u) {
    partial[own * QUADS + QUADS - 1u] = high;
  }
  partial[own * QUADS] = low;
  workgroupBarrier();
  // Vector 4 k + j has rows 4 j to 4 j + 3.
  if (own < PIECES * 16u) {
    let r = own & 15u;
    let first = 4u * (own >> 4u) + (r >> 2u);
    var piece = 0.0;
    for (var k = 0u; k < THREADS * QUADS / 4u / PIECES; k++) {
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
    var before = 0.0;
    if (params.accumulate != 0u) {
      before = out[at];
    }
    out[at] = sum + before;
  }
}

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) own: u32) {
  let stripe = group.x;
  let firstToken = group.y * TOKENS;
  let lane = own % SHARERS;
  let input = params.x_at / 4u + firstToken * COUNT;
  // A token that is not there counts as the last one, and its sums go nowhere.
  let lastToken = min(TOKENS, params.rows - firstToken) - 1u;
  // Of each token, and of its upper rows.
  var sums: array<vec4f, 2u * MOST_TOKENS>;
  for (var g = own / SHARERS; g < COUNT; g += THREADS / SHARERS) {
    let first = params.weights_data_at / 4u + (stripe * COLS + 4u * g) * SHARERS + lane;
    for (var j = 0u; j < 4u; j++) {
      let word = weights_data[first + j * SHARERS];
      var low = bitcast<vec4f>(word);
      var high = low;
      if (TYPE == 1u) {
        low = vec4f(unpack2x16float(word.x), unpack2x16float(word.y));
        high = vec4f(unpack2x16float(word.z), unpack2x16float(word.w));
      }
      for (var t = 0u; t < TOKENS; t++) {
        let v = vec4f(x[input + min(t, lastToken) * COUNT + g][j]);
        sums[t] = fma(low, v, sums[t]);
        if (TYPE == 1u) {
          sums[MOST_TOKENS + t] = fma(high, v, sums[MOST_TOKENS + t]);
        }
      }
    }
  }
  // Indices are written out: drivers keep in registers what they need not look up.
  finish(own, stripe, firstToken, sums[0], sums[8]);
  if (TOKENS > 1u) {
    finish(own, stripe, firstToken + 1u, sums[1], sums[9]);
  }
  if (TOKENS > 2u) {
    finish(own, stripe, firstToken + 2u, sums[2], sums[10]);
    finish(own, stripe, firstToken + 3u, sums[3], sums[11]);
  }
  if (TOKENS > 4u) {
    finish(own, stripe, firstToken + 4u, sums[4], sums[12]);
    finish(own, stripe, firstToken + 5u, sums[5], sums[13]);
    finish(own, stripe, firstToken + 6u, sums[6], sums[14]);
    finish(own, stripe, firstToken + 7u, sums[7], sums[15]);
  }
}
