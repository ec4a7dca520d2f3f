// As base.wgsl, four columns at a time: `cols` are a multiple of 4, and no more than an invocation keeps of them.
struct Params {
  rows: u32,
  cols: u32,
  accumulate: u32,
  eps: f32,
  x_at: u32,
  weight_at: u32,
  dOut_at: u32,
  dx_at: u32,
  dWeight_at: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4f>;
@group(0) @binding(2) var<storage, read> weight: array<vec4f>;
@group(0) @binding(3) var<storage, read> dOut: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> dx: array<vec4f>;
@group(0) @binding(5) var<storage, read_write> dWeight: array<vec4f>;
@group(0) @binding(6) var<storage, read_write> between: array<vec4f>;

const THREADS = 64u;
const ROWS = 16u;
/// Vectors of a row that an invocation has.
const VECTORS = 2u;
var<workgroup> lanes: array<vec2f, THREADS>;

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) own: u32) {
  let count = params.cols / 4u;
  var weights: array<vec4f, VECTORS>;
  var sums: array<vec4f, VECTORS>;
  for (var i = 0u; i < VECTORS; i++) {
    let col = own + i * THREADS;
    if (col < count) {
      weights[i] = weight[params.weight_at / 4u + col];
    }
  }
  let end = min(params.rows, (group.x + 1u) * ROWS);
  for (var row = group.x * ROWS; row < end; row++) {
    var values: array<vec4f, VECTORS>;
    var given: array<vec4f, VECTORS>;
    var both = vec2f();
    for (var i = 0u; i < VECTORS; i++) {
      let col = own + i * THREADS;
      if (col < count) {
        values[i] = x[params.x_at / 4u + row * count + col];
        given[i] = dOut[params.dOut_at / 4u + row * count + col];
        both += vec2f(dot(values[i], values[i]), dot(given[i] * weights[i], values[i]));
      }
    }
    lanes[own] = both;
    workgroupBarrier();
    for (var width = THREADS / 2u; width > 0u; width /= 2u) {
      if (own < width) {
        lanes[own] += lanes[own + width];
      }
      workgroupBarrier();
    }
    let means = lanes[0] / f32(params.cols);
    workgroupBarrier();
    let inverse = 1.0 / sqrt(means.x + params.eps);
    let along = inverse * inverse * means.y;
    for (var i = 0u; i < VECTORS; i++) {
      let col = own + i * THREADS;
      if (col < count) {
        let at = params.dx_at / 4u + row * count + col;
        let gradient = (given[i] * weights[i] - values[i] * along) * inverse;
        if (params.accumulate != 0u) {
          dx[at] += gradient;
        } else {
          dx[at] = gradient;
        }
        sums[i] += given[i] * (values[i] * inverse);
      }
    }
  }
  for (var i = 0u; i < VECTORS; i++) {
    let col = own + i * THREADS;
    if (col < count) {
      between[group.x * count + col] = sums[i];
    }
  }
}
