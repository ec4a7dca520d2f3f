// Rotates queries and keys of whole sequences in place, or back; see reference.ts.
struct Params {
  rows: u32,
  length: u32,
  nHeads: u32,
  nKvHeads: u32,
  headDim: u32,
  direction: f32,
  qkv_at: u32,
  rotations_at: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> qkv: array<f32>;
@group(0) @binding(2) var<storage, read> rotations: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) own: u32) {
  let half = params.headDim / 2u;
  let pair = group.x * 64u + own;
  if (pair >= (params.nHeads + params.nKvHeads) * half) {
    return;
  }
  let row = group.y;
  let i = pair % half;
  let angles = params.rotations_at + (row % params.length) * params.headDim + i;
  let cosine = rotations[angles];
  let sine = rotations[angles + half] * params.direction;
  let stride = (params.nHeads + 2u * params.nKvHeads) * params.headDim;
  let at = params.qkv_at + row * stride + pair / half * params.headDim + i;
  let a = qkv[at];
  let b = qkv[at + half];
  qkv[at] = a * cosine - b * sine;
  qkv[at + half] = b * cosine + a * sine;
}
