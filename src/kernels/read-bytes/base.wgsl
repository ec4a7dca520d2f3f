// Reads every byte of a buffer once, a sixteenth of a piece in a workgroup: the memory bandwidth that decoding is
// measured against. All loads of an invocation are on their way together.
struct Params {
  rows: u32,
  source_at: u32,
  sinks_at: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> source: array<vec4u>;
@group(0) @binding(2) var<storage, read_write> sinks: array<u32>;

const THREADS = 256u;
const PIECE_VECTORS = 65536u;
const PARTS = 16u;
const EACH = PIECE_VECTORS / PARTS / THREADS;

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) own: u32) {
  let first = params.source_at / 4u + group.y * PIECE_VECTORS + group.x * (PIECE_VECTORS / PARTS) + own;
  var vectors: array<vec4u, EACH>;
  for (var i = 0u; i < EACH; i++) {
    vectors[i] = source[first + i * THREADS];
  }
  var sum = vec4u();
  for (var i = 0u; i < EACH; i++) {
    sum ^= vectors[i];
  }
  // Hardly ever, but no compiler knows.
  if (sum.x == 0x9e3779b9u && sum.y == 0x7f4a7c15u) {
    sinks[params.sinks_at + group.y * 16u + group.x] = sum.z ^ sum.w;
  }
}
