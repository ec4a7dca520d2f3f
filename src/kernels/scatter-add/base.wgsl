// Adds each row of x (rows, cols) to the row of `out` that `index` names, in their order; see reference.ts.
// The first row of each name has a workgroup that adds all of that name; those of others end at once.
struct Params {
  rows: u32,
  cols: u32,
  x_at: u32,
  index_at: u32,
  out_at: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> index: array<i32>;
@group(0) @binding(3) var<storage, read_write> out: array<f32>;

const THREADS = 256u;
var<workgroup> earlier: atomic<u32>;
/// The same, which all know to be one number.
var<workgroup> isRepeated: u32;
/// Of a block of rows, a bit for each of that name.
var<workgroup> named: array<atomic<u32>, 8>;

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) own: u32) {
  let first = group.x;
  let name = index[params.index_at + first];
  for (var row = own; row < first; row += THREADS) {
    if (index[params.index_at + row] == name) {
      atomicStore(&earlier, 1u);
    }
  }
  workgroupBarrier();
  if (own == 0u) {
    isRepeated = atomicLoad(&earlier);
  }
  if (workgroupUniformLoad(&isRepeated) != 0u) {
    return;
  }
  let to = params.out_at + u32(name) * params.cols;
  for (var block = first; block < params.rows; block += THREADS) {
    if (own < 8u) {
      atomicStore(&named[own], 0u);
    }
    workgroupBarrier();
    let row = block + own;
    if (row < params.rows && index[params.index_at + row] == name) {
      atomicOr(&named[own >> 5u], 1u << (own & 31u));
    }
    workgroupBarrier();
    for (var word = 0u; word < 8u; word++) {
      for (var bits = atomicLoad(&named[word]); bits != 0u; bits &= bits - 1u) {
        let source = params.x_at + (block + word * 32u + countTrailingZeros(bits)) * params.cols;
        for (var col = own; col < params.cols; col += THREADS) {
          out[to + col] += x[source + col];
        }
      }
    }
    workgroupBarrier();
  }
}
