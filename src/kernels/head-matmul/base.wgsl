// The head with int4 weights in two planes (dense-matmul/layout.ts). Both planes of every row are read, so
// that all results are as exact as those of the stripes that the reference computes again. A workgroup has
// a stripe of 16 rows and up to four tokens; invocation 16 s + r sums groups s, s + 16, ... of row r.
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
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> weights_data: array<u32>;
@group(0) @binding(3) var<storage, read> weights_scales: array<f32>;
@group(0) @binding(4) var<storage, read_write> out: array<f32>;

const THREADS = 256u;
const SPLITS = THREADS / 16u;
const TOKENS = 4u;
var<workgroup> partial: array<array<f32, THREADS>, TOKENS>;

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) own: u32) {
  let lane = own & 15u;
  let split = own >> 4u;
  let stripe = group.x;
  let firstToken = group.y * TOKENS;
  let tokens = min(TOKENS, params.rows - firstToken);
  let cols = params.weights_cols;
  let groups = (cols + 7u) >> 3u;
  let plane = ((params.weights_rows + 15u) >> 4u) * groups * 16u;
  let input = params.x_at + firstToken * cols;

  var sums = array<f32, TOKENS>();
  for (var g = split; g < groups; g += SPLITS) {
    let at = params.weights_data_at + (stripe * groups + g) * 16u + lane;
    let high = weights_data[at];
    let low = weights_data[at + plane];
    for (var j = 0u; j < 8u; j++) {
      let c = g * 8u + j;
      if (c < cols) {
        let shift = (j & 3u) * 8u + (j & 4u);
        let w = f32(((high >> shift) & 15u) * 16u + ((low >> shift) & 15u)) - 128.0;
        for (var t = 0u; t < tokens; t++) {
          sums[t] += w * x[input + t * cols + c];
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
  if (t >= tokens || row >= params.weights_rows) {
    return;
  }
  var sum = 0.0;
  for (var s = 0u; s < SPLITS; s++) {
    sum += partial[t][s * 16u + lane];
  }
  let at = params.out_at + (firstToken + t) * params.weights_rows + row;
  out[at] = sum * weights_scales[params.weights_scales_at + row];
}
