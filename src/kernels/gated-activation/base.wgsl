// out (rows, cols) = activation(gate) * up, with gateUp (rows, 2 * cols); see reference.ts.
// Activations: 0 relu2, 1 silu, 2 gelu.
struct Params {
  rows: u32,
  cols: u32,
  activation: u32,
  gateUp_at: u32,
  out_at: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> gateUp: array<f32>;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;

/// 2 sqrt(2 / pi), and 0.044715 times it.
const GELU_LINEAR = 1.5957691216;
const GELU_CUBIC = 0.07135481627;

/// g / (1 + e^-z), with z no less than -88. WGSL divides by 2^126 at most, a little below e^88, so that far out
/// e^z is multiplied with instead, in two parts that are both normal numbers.
fn gated(g: f32, z: f32) -> f32 {
  if (z > -44.0) {
    return g / (1.0 + exp(clamp(-z, -87.0, 44.0)));
  }
  return g * 7.7811322411e-20 * exp(max(z, -88.0) + 44.0);
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) own: u32) {
  let col = group.x * 64u + own;
  if (col >= params.cols) {
    return;
  }
  let row = group.y;
  let at = params.gateUp_at + row * 2u * params.cols + col;
  let g = gateUp[at];
  let up = gateUp[at + params.cols];
  var activated = 0.0;
  switch (params.activation) {
    case 0u: {
      let positive = max(g, 0.0);
      activated = positive * positive;
    }
    case 1u: {
      activated = gated(g, g);
    }
    default: {
      activated = gated(g, g * (GELU_LINEAR + GELU_CUBIC * g * g));
    }
  }
  out[params.out_at + row * params.cols + col] = activated * up;
}
