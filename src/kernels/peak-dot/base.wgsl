// As many packed products of int8 in registers as a task has, a workgroup a task: what products could reach.
struct Params {
  rows: u32,
  operands_at: u32,
  sums_at: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> operands: array<u32>;
@group(0) @binding(2) var<storage, read_write> sums: array<i32>;

const THREADS = 256u;
const PRODUCTS = 1048576u;
/// Products of an invocation by a word, by so many sums at a time.
const WIDTH = 8u;
const TURNS = PRODUCTS / THREADS / 4u / WIDTH;

fn withWord(word: u32, v: vec4i) -> vec4i {
  let u = vec4u(v);
  return vec4i(
    dot4I8Packed(word, u.x),
    dot4I8Packed(word, u.y),
    dot4I8Packed(word, u.z),
    dot4I8Packed(word, u.w),
  );
}

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) own: u32) {
  var a = vec4i(i32(own));
  var b = vec4i(i32(own) + 1);
  let word = operands[params.operands_at + own % 16u];
  for (var i = 0u; i < TURNS; i++) {
    a += withWord(word, a);
    b += withWord(word, b);
  }
  if (own < 16u) {
    sums[params.sums_at + group.x * 16u + own] = (a.x + a.y) + (a.z + a.w) + (b.x + b.y) + (b.z + b.w);
  }
}
