// Counts of ternary codes and of those that changed, by one workgroup; see reference.ts.
struct Params {
  rows: u32,
  words: u32,
  codes_at: u32,
  before_at: u32,
  out_at: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> codes: array<u32>;
@group(0) @binding(2) var<storage, read_write> before: array<u32>;
@group(0) @binding(3) var<storage, read_write> out: array<u32>;

const THREADS = 256u;
var<workgroup> lanes: array<vec3u, THREADS>;

@compute @workgroup_size(THREADS)
fn main(@builtin(local_invocation_index) own: u32) {
  var counts = vec3u();
  for (var i = own; i < params.words; i += THREADS) {
    let now = codes[params.codes_at + i];
    let differs = now ^ before[params.before_at + i];
    before[params.before_at + i] = now;
    // A code is 0, 1 or 2: none has both bits.
    counts += countOneBits(
      vec3u(~(now | (now >> 1u)), now >> 1u, differs | (differs >> 1u)) & vec3u(0x55555555u),
    );
  }
  lanes[own] = counts;
  workgroupBarrier();
  for (var width = THREADS / 2u; width > 0u; width /= 2u) {
    if (own < width) {
      lanes[own] += lanes[own + width];
    }
    workgroupBarrier();
  }
  if (own < 3u) {
    out[params.out_at + own] = lanes[0][own];
  }
}
