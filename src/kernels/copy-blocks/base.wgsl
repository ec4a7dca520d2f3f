// Copies blocks of a cache, 64 workgroups for each pair; see reference.ts.
struct Params {
  rows: u32,
  cache_type: u32,
  cache_nKvHeads: u32,
  cache_headDim: u32,
  keyWords: u32,
  valueWords: u32,
  pairs_at: u32,
  cache_keys_at: u32,
  cache_values_at: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> pairs: array<i32>;
@group(0) @binding(2) var<storage, read_write> cache_keys: array<u32>;
@group(0) @binding(3) var<storage, read_write> cache_values: array<u32>;

const THREADS = 64u;
const GROUPS = 64u;

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) own: u32) {
  let at = params.pairs_at + group.y * 2u;
  let source = u32(pairs[at]);
  let goal = u32(pairs[at + 1u]);
  let first = group.x * THREADS + own;
  let sourceKeys = params.cache_keys_at + source * params.keyWords;
  let targetKeys = params.cache_keys_at + goal * params.keyWords;
  for (var i = first; i < params.keyWords; i += THREADS * GROUPS) {
    cache_keys[targetKeys + i] = cache_keys[sourceKeys + i];
  }
  let sourceValues = params.cache_values_at + source * params.valueWords;
  let targetValues = params.cache_values_at + goal * params.valueWords;
  for (var i = first; i < params.valueWords; i += THREADS * GROUPS) {
    cache_values[targetValues + i] = cache_values[sourceValues + i];
  }
}
