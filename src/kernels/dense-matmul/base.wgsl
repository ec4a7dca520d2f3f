// out (rows, weights.rows) = W x with dense weights: 0 f32, 1 f16, 2 int8; layouts in layout.ts. Activations
// keep all their bits. A workgroup has a stripe of 16 rows and up to four tokens; invocation 16 s + r sums
// columns s, s + 16, ... of row r (groups of four with int8), in an order that no neighbour changes.
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
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> weights_data: array<u32>;
@group(0) @binding(3) var<storage, read> weights_scales: array<f32>;
@group(0) @binding(4) var<storage, read_write> out: array<f32>;

const THREADS = 256u;
const SPLITS = THREADS / 16u;
const TOKENS = 4u;
/// Stripes of which the binding has the first and, of larger matrices, no more than some.
const FIRST = 0u;
const END = 0xffffffffu;
var<workgroup> partial: array<array<f32, THREADS>, TOKENS>;

/// The float whose bits are a half; exact, subnormals too.
fn half(bits: u32) -> f32 {
  let sign = (bits & 0x8000u) << 16u;
  let magnitude = bits & 0x7fffu;
  if (magnitude < 0x400u) {
    let small = f32(magnitude) * 5.9604644775390625e-8;
    return bitcast<f32>(bitcast<u32>(small) | sign);
  }
  let high = select(0x38000000u, 0x70000000u, magnitude >= 0x7c00u);
  return bitcast<f32>(((magnitude << 13u) + high) | sign);
}

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) own: u32) {
  let lane = own & 15u;
  let split = own >> 4u;
  let stripe = FIRST + group.x;
  let firstToken = group.y * TOKENS;
  let tokens = min(TOKENS, params.rows - firstToken);
  let cols = params.weights_cols;
  let input = params.x_at + firstToken * cols;

  var sums = array<f32, TOKENS>();
  if (params.weights_type == 2u) {
    let groups = (cols + 3u) >> 2u;
    for (var g = split; g < groups; g += SPLITS) {
      let word = weights_data[params.weights_data_at + (stripe * groups + g) * 16u + lane];
      for (var j = 0u; j < 4u; j++) {
        let c = g * 4u + j;
        if (c < cols) {
          let w = f32((word >> (8u * j)) & 0xffu) - 128.0;
          for (var t = 0u; t < tokens; t++) {
            sums[t] += w * x[input + t * cols + c];
          }
        }
      }
    }
  } else {
    for (var c = split; c < cols; c += SPLITS) {
      let at = (stripe * cols + c) * 16u + lane;
      var w = 0.0;
      if (params.weights_type == 0u) {
        w = bitcast<f32>(weights_data[params.weights_data_at + at]);
      } else {
        w = half((weights_data[params.weights_data_at + (at >> 1u)] >> ((at & 1u) * 16u)) & 0xffffu);
      }
      for (var t = 0u; t < tokens; t++) {
        sums[t] += w * x[input + t * cols + c];
      }
    }
  }
  for (var t = 0u; t < TOKENS; t++) {
    partial[t][own] = sums[t];
  }
  workgroupBarrier();

  let t = own >> 4u;
  let row = stripe * 16u + lane;
  if (t >= tokens || row >= params.weights_rows) {
    return;
  }
  var sum = 0.0;
  for (var s = 0u; s < SPLITS; s++) {
    sum += partial[t][s * 16u + lane];
  }
  if (params.weights_type == 2u) {
    sum *= weights_scales[params.weights_scales_at + row];
  }
  let at = params.out_at + (firstToken + t) * params.weights_rows + row;
  if (params.accumulate != 0u) {
    out[at] += sum;
  } else {
    out[at] = sum;
  }
}
