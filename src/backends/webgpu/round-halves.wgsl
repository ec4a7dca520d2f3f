// Rounds a row-major matrix of floats to halves, eight in a vector: as it lies, or in fragments of 16 x 16 for matrix
// units, each in one piece, those of 16 rows in the order of their columns. What no half can hold becomes the largest.
struct Params {
  octets: u32,
  cols: u32,
  x_at: u32,
  out_at: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> out: array<vec4u>;

const IS_IN_FRAGMENTS = 0u;

fn halvesOf(low: vec4f, high: vec4f) -> vec4u {
  let most = vec4f(65504.0);
  let first = clamp(low, -most, most);
  let second = clamp(high, -most, most);
  return vec4u(
    pack2x16float(first.xy),
    pack2x16float(first.zw),
    pack2x16float(second.xy),
    pack2x16float(second.zw),
  );
}

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) own: u32) {
  let i = (group.y * 32768u + group.x) * 256u + own;
  if (i >= params.octets) {
    return;
  }
  var octet = i;
  if (IS_IN_FRAGMENTS != 0u) {
    let inRow = params.cols / 8u;
    let fragment = i / 32u;
    let row = fragment / (inRow / 2u) * 16u + i % 32u / 2u;
    octet = row * inRow + fragment % (inRow / 2u) * 2u + i % 2u;
  }
  let at = params.x_at / 4u + octet * 2u;
  out[i] = halvesOf(x[at], x[at + 1u]);
}
