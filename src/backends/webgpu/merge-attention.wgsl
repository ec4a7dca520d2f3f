// Puts together what split-attention.wgsl has of a row's blocks, in their order: a workgroup for each head of
// each row.
struct Params {
  columns: u32,
  nHeads: u32,
  window: u32,
  step_at: u32,
  parts_at: u32,
  out_at: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> step: array<i32>;
@group(0) @binding(2) var<storage, read> parts: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> out: array<vec4f>;

const THREADS = 32u;
const DIM = 128u;
const STEP_WORDS = 4u;
const CHUNK = 256u;
const LEAST = -3.4028234e38;

/// Vector v of what a row's heads attend to. A part has DIM values, the largest score and the sum of weights.
fn merged(row: u32, v: u32) -> vec4f {
  let positions = u32(step[params.step_at + row * STEP_WORDS + 2u]) + 1u;
  let begin = select(0u, positions - min(positions, params.window), params.window > 0u) / CHUNK;
  let end = (positions + CHUNK - 1u) / CHUNK;
  let first = (row * params.nHeads + v / (DIM / 4u)) * params.columns;
  var largest = LEAST;
  var total = 0.0;
  var value = vec4f();
  // Four blocks are on their way at a time, but for the last ones.
  for (var chunk = begin; chunk < end; chunk += 4u) {
    var sizes: array<vec4f, 4>;
    var values: array<vec4f, 4>;
    for (var i = 0u; i < 4u; i++) {
      let part = params.parts_at / 4u + (first + min(chunk + i, end - 1u)) * (DIM / 4u + 1u);
      sizes[i] = parts[part + DIM / 4u];
      values[i] = parts[part + v % (DIM / 4u)];
    }
    for (var i = 0u; i < 4u; i++) {
      if (chunk + i < end) {
        let next = max(largest, sizes[i].x);
        let kept = exp(max(largest - next, -87.0));
        let added = exp(max(sizes[i].x - next, -87.0));
        total = fma(total, kept, sizes[i].y * added);
        value = fma(value, vec4f(kept), values[i] * added);
        largest = next;
      }
    }
  }
  return value * (1.0 / total);
}

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) own: u32) {
  let v = group.x * THREADS + own;
  let count = params.nHeads * (DIM / 4u);
  if (v < count) {
    out[params.out_at / 4u + group.y * count + v] = merged(group.y, v);
  }
}
