// The tokens of a pass by sequence and position; see reference.ts.
struct Params {
  rows: u32,
  capacity: u32,
  step_at: u32,
  history_at: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> step: array<i32>;
@group(0) @binding(2) var<storage, read_write> history: array<i32>;

const STEP_WORDS = 4u;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let row = id.x;
  if (row >= params.rows) {
    return;
  }
  let entry = params.step_at + row * STEP_WORDS;
  let at = u32(step[entry + 1u]) * params.capacity + u32(step[entry + 2u]);
  history[params.history_at + at] = step[entry];
}
