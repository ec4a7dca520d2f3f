// Each row by the matrix of its expert: out (rows, weights.rows / experts); see reference.ts. A workgroup has a stripe
// of 16 rows of the matrix and one row of x. Invocation 16 s + r sums tiles s, s + 16, ... of row r, so that
// neighbours read neighbouring words; sums are integers, in any order the same.
struct Params {
  rows: u32,
  weights_rows: u32,
  weights_cols: u32,
  weights_packing: u32,
  weights_order: u32,
  experts: u32,
  x_q_at: u32,
  x_scales_at: u32,
  x_sums_at: u32,
  weights_data_at: u32,
  weights_scales_at: u32,
  chosen_at: u32,
  out_at: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x_q: array<u32>;
@group(0) @binding(2) var<storage, read> x_scales: array<f32>;
@group(0) @binding(3) var<storage, read> x_sums: array<i32>;
@group(0) @binding(4) var<storage, read> weights_data: array<u32>;
@group(0) @binding(5) var<storage, read> weights_scales: array<f32>;
@group(0) @binding(6) var<storage, read> chosen: array<i32>;
@group(0) @binding(7) var<storage, read_write> out: array<f32>;

const THREADS = 256u;
const SPLITS = THREADS / 16u;
var<workgroup> partial: array<i32, THREADS>;

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
  let token = group.y;
  let count = params.weights_rows / params.experts;
  let stripe = u32(chosen[params.chosen_at + token]) * (count / 16u) + group.x;
  let words = ((params.weights_cols + 15u) >> 4u) * 4u;
  let isBase3 = params.weights_packing == 1u;
  let tileWords = select(4u, 5u, isBase3);
  let tileCols = tileWords * 4u;
  let tiles = (params.weights_cols + tileCols - 1u) / tileCols;
  let data = params.weights_data_at + stripe * tiles * 16u + lane;
  let q = params.x_q_at + token * words;

  var sum = 0;
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
        sum += dot4I8Packed(codes, x_q[q + column]);
      }
    }
  }
  partial[own] = sum;
  workgroupBarrier();
  if (split > 0u) {
    return;
  }
  sum = -x_sums[params.x_sums_at + token];
  for (var s = 0u; s < SPLITS; s++) {
    sum += partial[s * 16u + lane];
  }
  let row = stripe * 16u + lane;
  let scale = x_scales[params.x_scales_at + token] * weights_scales[params.weights_scales_at + row];
  out[params.out_at + token * count + group.x * 16u + lane] = f32(sum) * scale;
}
