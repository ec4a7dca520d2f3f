// Causal attention of whole sequences, a workgroup for 64 queries of a head; see reference.ts.
struct Params {
  rows: u32,
  length: u32,
  nHeads: u32,
  nKvHeads: u32,
  headDim: u32,
  halves: u32,
  scale: f32,
  qkv_at: u32,
  out_at: u32,
  softmax_at: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> qkv: array<f32>;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;
@group(0) @binding(3) var<storage, read_write> softmax: array<f32>;

/// Queries, or keys, of a tile: 4 x 4 of a tile of both for each invocation.
const TILE = 64u;
/// Dimensions, or rows, that lie in the workgroup's memory at a time: vectors of 4 neighbours, in rows of one more
/// than there are.
const PART = 16u;
const LEFT = 17u;
const RIGHT = 33u;
var<workgroup> left: array<vec4f, PART * LEFT>;
var<workgroup> right: array<vec4f, PART * RIGHT>;

/// Where a head of a row of queries, keys and values begins: heads of queries, then of keys, then of values.
fn headAt(row: u32, head: u32) -> u32 {
  return params.qkv_at + (row * (params.nHeads + 2u * params.nKvHeads) + head) * params.headDim;
}

/// Dimensions from `first` on of the tile's rows of a head; zeros past the ends.
fn loadLeft(own: u32, start: u32, count: u32, head: u32, first: u32) {
  let dim = first + own % PART;
  let quad = own / PART;
  var values = vec4f();
  for (var i = 0u; i < 4u; i++) {
    let row = quad * 4u + i;
    if (row < count && dim < params.headDim) {
      values[i] = qkv[headAt(start + row, head) + dim];
    }
  }
  left[own % PART * LEFT + quad] = values;
}

/// The same, on the other side.
fn loadRight(own: u32, start: u32, count: u32, head: u32, first: u32) {
  let dim = first + own % PART;
  let quad = own / PART;
  var values = vec4f();
  for (var i = 0u; i < 4u; i++) {
    let row = quad * 4u + i;
    if (row < count && dim < params.headDim) {
      values[i] = qkv[headAt(start + row, head) + dim];
    }
  }
  right[own % PART * RIGHT + quad] = values;
}

/// All dimensions of PART rows of a head; zeros past the ends.
fn loadRows(own: u32, start: u32, count: u32, head: u32) {
  let row = own / 16u;
  for (var block = 0u; block < params.headDim; block += 64u) {
    var values = vec4f();
    for (var i = 0u; i < 4u; i++) {
      let dim = block + own % 16u * 4u + i;
      if (row < count && dim < params.headDim) {
        values[i] = qkv[headAt(start + row, head) + dim];
      }
    }
    right[row * RIGHT + block / 4u + own % 16u] = values;
  }
}

/// Adds to 4 x 4 sums the products of PART dimensions.
fn addProducts(own: u32, sums: ptr<function, array<vec4f, 4>>) {
  for (var d = 0u; d < PART; d++) {
    let a = left[d * LEFT + own / 16u];
    let b = right[d * RIGHT + own % 16u];
    (*sums)[0] = fma(vec4f(a.x), b, (*sums)[0]);
    (*sums)[1] = fma(vec4f(a.y), b, (*sums)[1]);
    (*sums)[2] = fma(vec4f(a.z), b, (*sums)[2]);
    (*sums)[3] = fma(vec4f(a.w), b, (*sums)[3]);
  }
}

/// Puts PART columns of a tile's weights where rows are multiplied with them.
fn putWeights(own: u32, part: u32, weights: ptr<function, array<vec4f, 4>>) {
  if (own % 16u / 4u == part) {
    for (var i = 0u; i < 4u; i++) {
      left[(own % 4u * 4u + i) * LEFT + own / 16u] =
        vec4f((*weights)[0][i], (*weights)[1][i], (*weights)[2][i], (*weights)[3][i]);
    }
  }
}

/// Adds PART rows, each times its weight: of 4 rows of weights 4 dimensions, and 4 of the next 64 behind them.
fn addWeighted(own: u32, sums: ptr<function, array<vec4f, 8>>) {
  for (var block = 0u; block < 2u; block++) {
    if (block * 64u < params.headDim) {
      for (var k = 0u; k < PART; k++) {
        let p = left[k * LEFT + own / 16u];
        let v = right[k * RIGHT + block * 16u + own % 16u];
        (*sums)[block * 4u] = fma(vec4f(p.x), v, (*sums)[block * 4u]);
        (*sums)[block * 4u + 1u] = fma(vec4f(p.y), v, (*sums)[block * 4u + 1u]);
        (*sums)[block * 4u + 2u] = fma(vec4f(p.z), v, (*sums)[block * 4u + 2u]);
        (*sums)[block * 4u + 3u] = fma(vec4f(p.w), v, (*sums)[block * 4u + 3u]);
      }
    }
  }
}

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) own: u32) {
  let blocks = (params.length + TILE - 1u) / TILE;
  let head = group.x;
  let sharedHead = params.nHeads + head / (params.nHeads / params.nKvHeads);
  let sequence = group.y / blocks * params.length;
  // The longest first.
  let query = (blocks - 1u - group.y % blocks) * TILE;
  let queries = min(TILE, params.length - query);
  var sums = array<vec4f, 8>();
  var largest = vec4f(-3.0e38);
  var total = vec4f();
  for (var key = 0u; key <= query; key += TILE) {
    let keys = min(TILE, params.length - key);
    var scores = array<vec4f, 4>();
    for (var first = 0u; first < params.headDim; first += PART) {
      loadLeft(own, sequence + query, queries, head, first);
      loadRight(own, sequence + key, keys, sharedHead, first);
      workgroupBarrier();
      addProducts(own, &scores);
      workgroupBarrier();
    }
    let firstKey = key + own % 16u * 4u;
    var most = vec4f();
    for (var r = 0u; r < 4u; r++) {
      let seen = (vec4u(firstKey) + vec4u(0u, 1u, 2u, 3u)) <= vec4u(query + own / 16u * 4u + r);
      scores[r] = select(vec4f(-3.0e38), scores[r] * params.scale, seen);
      most[r] = max(max(scores[r].x, scores[r].y), max(scores[r].z, scores[r].w));
    }
    left[own % 16u * LEFT + own / 16u] = most;
    workgroupBarrier();
    let before = largest;
    for (var i = 0u; i < 16u; i++) {
      largest = max(largest, left[i * LEFT + own / 16u]);
    }
    let factor = exp(before - largest);
    total *= factor;
    for (var r = 0u; r < 4u; r++) {
      scores[r] = exp(scores[r] - vec4f(largest[r]));
      total[r] += dot(scores[r], vec4f(1.0));
      sums[r] *= factor[r];
      sums[4u + r] *= factor[r];
    }
    for (var part = 0u; part < TILE / PART; part++) {
      workgroupBarrier();
      putWeights(own, part, &scores);
      loadRows(own, sequence + key + part * PART, max(keys, part * PART) - part * PART, sharedHead + params.nKvHeads);
      workgroupBarrier();
      addWeighted(own, &sums);
    }
    workgroupBarrier();
  }
  left[own % 16u * LEFT + own / 16u] = total;
  workgroupBarrier();
  total = vec4f();
  for (var i = 0u; i < 16u; i++) {
    total += left[i * LEFT + own / 16u];
  }
  for (var r = 0u; r < 4u; r++) {
    let row = own / 16u * 4u + r;
    if (row < queries) {
      let at = (sequence + query + row) * params.nHeads + head;
      for (var i = 0u; i < 8u; i++) {
        let dim = i / 4u * 64u + own % 16u * 4u + i % 4u;
        if (dim < params.headDim) {
          out[params.out_at + at * params.headDim + dim] = sums[i / 4u * 4u + r][i % 4u] / total[r];
        }
      }
      if (own % 16u == 0u) {
        softmax[params.softmax_at + at * 2u] = largest[r];
        softmax[params.softmax_at + at * 2u + 1u] = total[r];
      }
    }
  }
}
