// The gradients of gate and up, (rows, 2 * cols), from dOut (rows, cols); see reference.ts.
// Activations: 0 relu2, 1 silu, 2 gelu.
struct Params {
  rows: u32,
  cols: u32,
  activation: u32,
  gateUp_at: u32,
  dOut_at: u32,
  dGateUp_at: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> gateUp: array<f32>;
@group(0) @binding(2) var<storage, read> dOut: array<f32>;
@group(0) @binding(3) var<storage, read_write> dGateUp: array<f32>;

/// 2 sqrt(2 / pi), 0.044715 times it, and three times that.
const GELU_LINEAR = 1.5957691216;
const GELU_CUBIC = 0.07135481627;
const GELU_SLOPE = 0.21406444881;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) own: u32) {
  let col = group.x * 64u + own;
  if (col >= params.cols) {
    return;
  }
  let row = group.y;
  let at = row * 2u * params.cols + col;
  let g = gateUp[params.gateUp_at + at];
  let up = gateUp[params.gateUp_at + at + params.cols];
  let d = dOut[params.dOut_at + row * params.cols + col];
  var value = 0.0;
  var slope = 0.0;
  if (params.activation == 0u) {
    let positive = max(g, 0.0);
    value = positive * positive;
    slope = 2.0 * positive;
  } else {
    var z = g;
    var dz = 1.0;
    if (params.activation == 2u) {
      z = g * (GELU_LINEAR + GELU_CUBIC * g * g);
      dz = GELU_LINEAR + GELU_SLOPE * g * g;
    }
    // WGSL divides by 2^126 at most, a little above e^87.
    let s = 1.0 / (1.0 + exp(clamp(-z, -87.0, 87.0)));
    value = g * s;
    slope = s * (1.0 + g * (1.0 - s) * dz);
  }
  dGateUp[params.dGateUp_at + at] = d * up * slope;
  dGateUp[params.dGateUp_at + at + params.cols] = d * value;
}
