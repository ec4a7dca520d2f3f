// As base.wgsl, four columns an invocation: `cols` are a multiple of 4.
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
@group(0) @binding(1) var<storage, read> gateUp: array<vec4f>;
@group(0) @binding(2) var<storage, read> dOut: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> dGateUp: array<vec4f>;

/// 2 sqrt(2 / pi), 0.044715 times it, and three times that.
const GELU_LINEAR = 1.5957691216;
const GELU_CUBIC = 0.07135481627;
const GELU_SLOPE = 0.21406444881;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) own: u32) {
  let i = (group.y * 32768u + group.x) * 256u + own;
  let vectors = params.cols / 4u;
  if (i >= params.rows * vectors) {
    return;
  }
  let at = i / vectors * 2u * vectors + i % vectors;
  let g = gateUp[params.gateUp_at / 4u + at];
  let up = gateUp[params.gateUp_at / 4u + at + vectors];
  let d = dOut[params.dOut_at / 4u + i];
  var value = vec4f();
  var slope = vec4f();
  if (params.activation == 0u) {
    let positive = max(g, vec4f());
    value = positive * positive;
    slope = 2.0 * positive;
  } else {
    var z = g;
    var dz = vec4f(1.0);
    if (params.activation == 2u) {
      z = g * (GELU_LINEAR + GELU_CUBIC * g * g);
      dz = GELU_LINEAR + GELU_SLOPE * g * g;
    }
    // WGSL divides by 2^126 at most, a little above e^87.
    let s = 1.0 / (1.0 + exp(clamp(-z, vec4f(-87.0), vec4f(87.0))));
    value = g * s;
    slope = s * (1.0 + g * (1.0 - s) * dz);
  }
  dGateUp[params.dGateUp_at / 4u + at] = d * up * slope;
  dGateUp[params.dGateUp_at / 4u + at + vectors] = d * value;
}
