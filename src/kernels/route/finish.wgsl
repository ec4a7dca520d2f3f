// The rows sorted by expert, a workgroup an expert; see reference.ts. `between` has the numbers of each row's experts.
struct Params {
  rows: u32,
  experts: u32,
  top: u32,
  logits_at: u32,
  weights_at: u32,
  places_at: u32,
  sources_at: u32,
  chosen_at: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> logits: array<f32>;
@group(0) @binding(2) var<storage, read_write> weights: array<f32>;
@group(0) @binding(3) var<storage, read_write> places: array<i32>;
@group(0) @binding(4) var<storage, read_write> sources: array<i32>;
@group(0) @binding(5) var<storage, read_write> chosen: array<i32>;
@group(0) @binding(6) var<storage, read_write> between: array<i32>;

const THREADS = 256u;
/// Assignments to experts before this one.
var<workgroup> earlier: atomic<u32>;
/// Of a block of assignments, a bit for each to this one.
var<workgroup> named: array<atomic<u32>, 8>;

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) own: u32) {
  let expert = i32(group.x);
  let ownWord = own >> 5u;
  let count = params.rows * params.top;
  var smaller = 0u;
  for (var i = own; i < count; i += THREADS) {
    smaller += u32(between[i] < expert);
  }
  atomicAdd(&earlier, smaller);
  workgroupBarrier();
  var first = atomicLoad(&earlier);
  for (var block = 0u; block < count; block += THREADS) {
    if (own < 8u) {
      atomicStore(&named[own], 0u);
    }
    workgroupBarrier();
    let i = block + own;
    let isNamed = i < count && between[i] == expert;
    if (isNamed) {
      atomicOr(&named[ownWord], 1u << (own & 31u));
    }
    workgroupBarrier();
    var place = first;
    for (var word = 0u; word < 8u; word++) {
      let bits = atomicLoad(&named[word]);
      first += countOneBits(bits);
      if (word < ownWord) {
        place += countOneBits(bits);
      } else if (word == ownWord) {
        place += countOneBits(bits & ((1u << (own & 31u)) - 1u));
      }
    }
    if (isNamed) {
      places[params.places_at + i] = i32(place);
      sources[params.sources_at + place] = i32(i / params.top);
      chosen[params.chosen_at + place] = expert;
    }
    workgroupBarrier();
  }
}
