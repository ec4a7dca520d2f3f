// Drawn tokens and the next positions as the next step; see reference.ts.
struct Params {
  rows: u32,
  tokenLimit: u32,
  positionLimit: u32,
  step_at: u32,
  index_at: u32,
  tokens_at: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> step: array<i32>;
@group(0) @binding(2) var<storage, read> index: array<i32>;
@group(0) @binding(3) var<storage, read> tokens: array<i32>;

const STEP_WORDS = 4u;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let row = id.x;
  if (row >= params.rows) {
    return;
  }
  let entry = params.step_at + u32(index[params.index_at + row]) * STEP_WORDS;
  let token = tokens[params.tokens_at + row];
  step[entry] = select(0, token, token >= 0 && token < i32(params.tokenLimit));
  step[entry + 2u] = min(step[entry + 2u] + 1, i32(params.positionLimit) - 1);
}
