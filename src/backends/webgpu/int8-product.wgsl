// dense-matmul with int8 weights and COLS columns, of tokens that split-tokens.wgsl has made integers of: sums are
// integers, so that results are those of dense-matmul/reference.ts and of int8-matrix.wgsl. A workgroup has a stripe
// of 16 rows and up to TOKENS tokens, an invocation four neighbouring columns of four rows.
struct Params {
  rows: u32,
  matrixRows: u32,
  accumulate: u32,
  split_at: u32,
  data_at: u32,
  scales_at: u32,
  out_at: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> split: array<u32>;
@group(0) @binding(2) var<storage, read> data: array<vec4u>;
@group(0) @binding(3) var<storage, read> scales: array<f32>;
@group(0) @binding(4) var<storage, read_write> out: array<f32>;

const THREADS = 256u;
const COLS = 2560u;
const TOKENS = 1u;
/// Vectors of weights on their way at a time.
const AHEAD = 5u;
const COUNT = COLS / 4u;
const TOKEN = (2u * COUNT + 4u) & ~3u;
const SHARERS = THREADS / 4u;
const ROUNDS = (COUNT + SHARERS * AHEAD - 1u) / (SHARERS * AHEAD);
const MOST_TOKENS = 8u;
const PIECES = 8u;
var<workgroup> partial: array<vec4i, 2u * THREADS>;
var<workgroup> pieces: array<i32, THREADS>;

/// Four bytes of each of four rows, with the same four activations.
fn dots(codes: vec4u, q: u32) -> vec4i {
  return vec4i(
    dot4I8Packed(codes.x, q),
    dot4I8Packed(codes.y, q),
    dot4I8Packed(codes.z, q),
    dot4I8Packed(codes.w, q),
  );
}

/// 256 high + low, rounded as the reference rounds it.
fn joined(high: i32, low: i32) -> f32 {
  return f32(high + (low >> 8u)) * 256.0 + f32(low & 255);
}

/// Adds up a token's sums over the workgroup, and writes its results.
fn finish(own: u32, stripe: u32, token: u32, high: vec4i, low: vec4i) {
  partial[own] = high;
  partial[THREADS + own] = low;
  workgroupBarrier();
  // Vector 4 k + j has rows 4 j to 4 j + 3.
  let first = ((own >> 4u) & 1u) * THREADS + 4u * (own >> 5u) + ((own & 15u) >> 2u);
  var piece = 0;
  for (var k = 0u; k < THREADS / 4u / PIECES; k++) {
    piece += partial[first + 4u * PIECES * k][own & 3u];
  }
  pieces[own] = piece;
  workgroupBarrier();
  let row = stripe * 16u + own;
  if (own < 16u && token < params.rows && row < params.matrixRows) {
    var sums = vec2i();
    for (var i = 0u; i < PIECES; i++) {
      sums += vec2i(pieces[i * 32u + own], pieces[i * 32u + 16u + own]);
    }
    let at = params.out_at + token * params.matrixRows + row;
    var before = 0.0;
    if (params.accumulate != 0u) {
      before = out[at];
    }
    let unit = bitcast<f32>(split[token * TOKEN + 2u * COUNT]);
    out[at] = fma(joined(sums.x, sums.y), scales[params.scales_at + row] * unit, before);
  }
}

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) own: u32) {
  let stripe = group.x;
  let firstToken = group.y * TOKENS;
  // A token that is not there counts as the last one, and its sums go nowhere.
  let lastToken = min(TOKENS, params.rows - firstToken) - 1u;
  let source = params.data_at / 4u + stripe * COUNT * 4u + (own & 3u);
  var high: array<vec4i, MOST_TOKENS>;
  var low: array<vec4i, MOST_TOKENS>;
  for (var round = 0u; round < ROUNDS; round++) {
    var words: array<vec4u, AHEAD>;
    for (var i = 0u; i < AHEAD; i++) {
      let g = own / 4u + (round * AHEAD + i) * SHARERS;
      words[i] = data[source + min(g, COUNT - 1u) * 4u];
    }
    for (var i = 0u; i < AHEAD; i++) {
      let g = own / 4u + (round * AHEAD + i) * SHARERS;
      // Bytes are weights plus 128: without the highest bit's meaning they are int8. Behind the last columns all are 0.
      let word = select(vec4u(), words[i] ^ vec4u(0x80808080u), g < COUNT);
      for (var t = 0u; t < TOKENS; t++) {
        let at = (firstToken + min(t, lastToken)) * TOKEN + min(g, COUNT - 1u);
        high[t] += dots(word, split[at]);
        low[t] += dots(word, split[at + COUNT]);
      }
    }
  }
  // Indices are written out: drivers keep in registers what they need not look up.
  finish(own, stripe, firstToken, high[0], low[0]);
  if (TOKENS > 1u) {
    finish(own, stripe, firstToken + 1u, high[1], low[1]);
  }
  if (TOKENS > 2u) {
    finish(own, stripe, firstToken + 2u, high[2], low[2]);
    finish(own, stripe, firstToken + 3u, high[3], low[3]);
  }
  if (TOKENS > 4u) {
    finish(own, stripe, firstToken + 4u, high[4], low[4]);
    finish(own, stripe, firstToken + 5u, high[5], low[5]);
    finish(own, stripe, firstToken + 6u, high[6], low[6]);
    finish(own, stripe, firstToken + 7u, high[7], low[7]);
  }
}
