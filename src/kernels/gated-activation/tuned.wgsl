// As base.wgsl, four columns an invocation: `cols` are a multiple of 4.
// Activations: 0 relu2, 1 silu, 2 gelu.
struct Params {
  rows: u32,
  cols: u32,
  activation: u32,
  gateUp_at: u32,
  out_at: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> gateUp: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> out: array<vec4f>;

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

fn activatedOf(g: vec4f) -> vec4f {
  switch (params.activation) {
    case 0u: {
      let positive = max(g, vec4f());
      return positive * positive;
    }
    case 1u: {
      return vec4f(gated(g.x, g.x), gated(g.y, g.y), gated(g.z, g.z), gated(g.w, g.w));
    }
    default: {
      let z = g * (GELU_LINEAR + GELU_CUBIC * g * g);
      return vec4f(gated(g.x, z.x), gated(g.y, z.y), gated(g.z, z.z), gated(g.w, z.w));
    }
  }
}

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) own: u32) {
  let i = (group.y * 32768u + group.x) * 256u + own;
  let vectors = params.cols / 4u;
  if (i >= params.rows * vectors) {
    return;
  }
  let at = params.gateUp_at / 4u + i / vectors * 2u * vectors + i % vectors;
  out[params.out_at / 4u + i] = activatedOf(gateUp[at]) * gateUp[at + vectors];
}
