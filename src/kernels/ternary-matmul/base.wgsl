// BitLinear's product: out (rows, weights.rows) = (W q) * (token scale * row scale); see reference.ts.
// A workgroup has a stripe of 16 rows and up to four tokens. Invocation 16 s + r sums tiles s, s + 16, ...
// of row r, so that neighbours read neighbouring words; sums are integers, in any order the same.
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
@group(0) @binding(1) var<storage, read> x_q: array<u32>;
@group(0) @binding(2) var<storage, read> x_scales: array<f32>;
@group(0) @binding(3) var<storage, read> x_sums: array<i32>;
@group(0) @binding(4) var<storage, read> weights_data: array<u32>;
@group(0) @binding(5) var<storage, read> weights_scales: array<f32>;
@group(0) @binding(6) var<storage, read_write> out: array<f32>;

const THREADS = 256u;
const SPLITS = THREADS / 16u;
const TOKENS = 4u;
var<workgroup> partial: array<array<i32, THREADS>, TOKENS>;

/// The lowest base-3 digits of four bytes, and the bytes without them.
struct Digits {
  digits: u32,
  rest: u32,
}

/// b / 3 = (b * 171) >> 9 for bytes, two of them at a time.
fn third(pair: u32) -> u32 {
  return ((pair * 171u) >> 9u) & 0x007f007fu;
}

fn lowestDigits(word: u32) -> Digits {
  let even = word & 0x00ff00ffu;
  let odd = (word >> 8u) & 0x00ff00ffu;
  let evenRest = third(even);
  let oddRest = third(odd);
  let digits = (even - 3u * evenRest) | ((odd - 3u * oddRest) << 8u);
  return Digits(digits, evenRest | (oddRest << 8u));
}

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) own: u32) {
  let lane = own & 15u;
  let split = own >> 4u;
  let stripe = (params.first >> 4u) + group.x;
  let firstToken = group.y * TOKENS;
  let tokens = min(TOKENS, params.rows - firstToken);
  let words = ((params.weights_cols + 15u) >> 4u) * 4u;
  let isBase3 = params.weights_packing == 1u;
  let tileWords = select(4u, 5u, isBase3);
  let tileCols = tileWords * 4u;
  let tiles = (params.weights_cols + tileCols - 1u) / tileCols;
  let data = params.weights_data_at + stripe * tiles * 16u + lane;
  let q = params.x_q_at + firstToken * words;

  var sums = array<i32, TOKENS>();
  for (var tile = split; tile < tiles; tile += SPLITS) {
    var word = weights_data[data + tile * 16u];
    for (var p = 0u; p < tileWords; p++) {
      var codes = (word >> (2u * p)) & 0x03030303u;
      if (isBase3) {
        let next = lowestDigits(word);
        codes = next.digits;
        word = next.rest;
      }
      let column = tile * tileWords + p;
      if (column < words) {
        for (var t = 0u; t < tokens; t++) {
          sums[t] += dot4I8Packed(codes, x_q[q + t * words + column]);
        }
      }
    }
  }
  for (var t = 0u; t < TOKENS; t++) {
    partial[t][own] = sums[t];
  }
  workgroupBarrier();

  let t = own >> 4u;
  let row = stripe * 16u + lane;
  if (t >= tokens || row >= params.first + params.count) {
    return;
  }
  var sum = -x_sums[params.x_sums_at + firstToken + t];
  for (var s = 0u; s < SPLITS; s++) {
    sum += partial[t][s * 16u + lane];
  }
  let scale = x_scales[params.x_scales_at + firstToken + t] * weights_scales[params.weights_scales_at + row];
  let at = params.out_at + (firstToken + t) * params.weights_rows + row;
  let y = f32(sum) * scale;
  if (params.accumulate != 0u) {
    out[at] += y;
  } else {
    out[at] = y;
  }
}
