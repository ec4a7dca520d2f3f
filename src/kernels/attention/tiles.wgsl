// As base.wgsl for many rows and floats in the cache: a workgroup has a head of ROWS rows, whose neighbours most
// often are of one sequence, and goes through them by runs of one sequence and through its positions by
// blocks of 256. The order of sums is that of split.wgsl and merge.wgsl, bit for bit.
struct Params {
  rows: u32,
  cache_type: u32,
  cache_nKvHeads: u32,
  cache_headDim: u32,
  table_columns: u32,
  nHeads: u32,
  chunks: u32,
  window: u32,
  scale: f32,
  step_at: u32,
  qkv_at: u32,
  cache_keys_at: u32,
  cache_values_at: u32,
  table_data_at: u32,
  out_at: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> step: array<i32>;
@group(0) @binding(2) var<storage, read> qkv: array<f32>;
@group(0) @binding(3) var<storage, read> cache_keys: array<u32>;
@group(0) @binding(4) var<storage, read> cache_values: array<u32>;
@group(0) @binding(5) var<storage, read> table_data: array<i32>;
@group(0) @binding(6) var<storage, read_write> out: array<f32>;

const THREADS = 256u;
const DIM = 128u;
/// 0 f32, 1 f16.
const TYPE = 1u;
const ROWS = 8u;
const QUADS = ROWS / 4u;
const STEP_WORDS = 4u;
const KEY_BLOCK = 16u;
const CHUNK = 256u;
const GROUPS = 32u;
const STRIDE = (DIM + 15u) & ~15u;
const PAIRS = DIM / 2u;
/// Pairs of dimensions of quads of rows that an invocation has at most.
const MOST_TASKS = (PAIRS * QUADS + THREADS - 1u) / THREADS;
const LEAST = -3.4028234e38;
/// By dimension, and by position, and in both four rows at a time.
var<workgroup> queries: array<vec4f, DIM * QUADS>;
var<workgroup> weights: array<vec4f, CHUNK * QUADS>;
var<workgroup> groups: array<vec4f, GROUPS * QUADS>;
/// Of each row: positions that it sees, from the first to behind the last; 0 and 0 for one of another run.
var<workgroup> starts: array<u32, ROWS>;
var<workgroup> ends: array<u32, ROWS>;
var<workgroup> largests: array<vec4f, QUADS>;
var<workgroup> kept: array<vec4f, QUADS>;
var<workgroup> added: array<vec4f, QUADS>;
var<workgroup> peaks: array<vec4f, QUADS>;
var<workgroup> totals: array<vec4f, QUADS>;
var<workgroup> run: vec4u;

/// The first position, over all blocks, of the one that has a sequence's position, for a key head.
fn blockStart(slot: u32, position: u32, kvHead: u32) -> u32 {
  let block = u32(table_data[params.table_data_at + slot * params.table_columns + position / CHUNK]);
  return (block * params.cache_nKvHeads + kvHead) * CHUNK;
}

/// Two neighbouring floats of the cache's keys, from an even one on.
fn keysAt(at: u32) -> vec2f {
  if (TYPE == 0u) {
    return bitcast<vec2f>(vec2u(cache_keys[params.cache_keys_at + at], cache_keys[params.cache_keys_at + at + 1u]));
  }
  return unpack2x16float(cache_keys[params.cache_keys_at + at / 2u]);
}

fn valuesAt(at: u32) -> vec2f {
  if (TYPE == 0u) {
    let first = params.cache_values_at + at;
    return bitcast<vec2f>(vec2u(cache_values[first], cache_values[first + 1u]));
  }
  return unpack2x16float(cache_values[params.cache_values_at + at / 2u]);
}

fn slotOf(row: u32) -> u32 {
  return u32(step[params.step_at + row * STEP_WORDS + 1u]);
}

/// Finds the rows behind `begin` of its sequence and what they see. Sets run: behind the last of these rows,
/// first and last chunk.
fn findRun(firstRow: u32, begin: u32) {
  let slot = slotOf(firstRow + begin);
  var last = begin;
  var least = 0xffffffffu;
  var most = 0u;
  for (var r = 0u; r < ROWS; r++) {
    starts[r] = 0u;
    ends[r] = 0u;
    if (r == last && firstRow + r < params.rows && slotOf(firstRow + r) == slot) {
      let positions = u32(step[params.step_at + (firstRow + r) * STEP_WORDS + 2u]) + 1u;
      starts[r] = select(0u, positions - min(positions, params.window), params.window > 0u);
      ends[r] = positions;
      least = min(least, starts[r]);
      most = max(most, positions);
      last = r + 1u;
    }
  }
  run = vec4u(last, least / CHUNK, (most - 1u) / CHUNK, most);
}

/// Two positions' products with a quarter of four rows' queries, in order; eight loads at a time are on their way.
fn quarter(at: u32, first: u32, quad: u32) -> mat2x4f {
  var left = vec4f();
  var right = vec4f();
  for (var i = 0u; i < DIM / 32u; i++) {
    let d = first + i * 8u;
    let k = array<vec2f, 8>(
      keysAt(at + d * KEY_BLOCK),
      keysAt(at + (d + 1u) * KEY_BLOCK),
      keysAt(at + (d + 2u) * KEY_BLOCK),
      keysAt(at + (d + 3u) * KEY_BLOCK),
      keysAt(at + (d + 4u) * KEY_BLOCK),
      keysAt(at + (d + 5u) * KEY_BLOCK),
      keysAt(at + (d + 6u) * KEY_BLOCK),
      keysAt(at + (d + 7u) * KEY_BLOCK),
    );
    let q = d * QUADS + quad;
    left = fma(queries[q + 0u * QUADS], vec4f(k[0].x), left);
    right = fma(queries[q + 0u * QUADS], vec4f(k[0].y), right);
    left = fma(queries[q + 1u * QUADS], vec4f(k[1].x), left);
    right = fma(queries[q + 1u * QUADS], vec4f(k[1].y), right);
    left = fma(queries[q + 2u * QUADS], vec4f(k[2].x), left);
    right = fma(queries[q + 2u * QUADS], vec4f(k[2].y), right);
    left = fma(queries[q + 3u * QUADS], vec4f(k[3].x), left);
    right = fma(queries[q + 3u * QUADS], vec4f(k[3].y), right);
    left = fma(queries[q + 4u * QUADS], vec4f(k[4].x), left);
    right = fma(queries[q + 4u * QUADS], vec4f(k[4].y), right);
    left = fma(queries[q + 5u * QUADS], vec4f(k[5].x), left);
    right = fma(queries[q + 5u * QUADS], vec4f(k[5].y), right);
    left = fma(queries[q + 6u * QUADS], vec4f(k[6].x), left);
    right = fma(queries[q + 6u * QUADS], vec4f(k[6].y), right);
    left = fma(queries[q + 7u * QUADS], vec4f(k[7].x), left);
    right = fma(queries[q + 7u * QUADS], vec4f(k[7].y), right);
  }
  return mat2x4f(left, right);
}

/// Scores of two positions of the block and four rows, to where their weights will be.
fn score(position: u32, quad: u32, first: u32, home: u32) {
  let lane = position % KEY_BLOCK;
  let at = (home + position - lane) * DIM + lane;
  let low = quarter(at, 0u, quad) + quarter(at, DIM / 4u, quad);
  let high = quarter(at, DIM / 2u, quad) + quarter(at, DIM / 4u * 3u, quad);
  let own = (low[0] + high[0]) * params.scale;
  let next = (low[1] + high[1]) * params.scale;
  for (var r = 0u; r < 4u; r++) {
    let p = first + position;
    let start = starts[quad * 4u + r];
    let end = ends[quad * 4u + r];
    weights[position * QUADS + quad][r] = select(LEAST, own[r], p >= start && p < end);
    weights[(position + 1u) * QUADS + quad][r] = select(LEAST, next[r], p + 1u >= start && p + 1u < end);
  }
}

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) own: u32) {
  let head = group.x;
  let firstRow = group.y * ROWS;
  let kvHead = head / (params.nHeads / params.cache_nKvHeads);
  let width = (params.nHeads + 2u * params.cache_nKvHeads) * DIM;
  for (var at = own; at < DIM * ROWS; at += THREADS) {
    let r = at / DIM;
    let d = at % DIM;
    let row = min(firstRow + r, params.rows - 1u);
    queries[d * QUADS + (r >> 2u)][r & 3u] = qkv[params.qkv_at + row * width + head * DIM + d];
  }
  let count = min(ROWS, params.rows - firstRow);
  for (var begin = 0u; begin < count; begin = workgroupUniformLoad(&run).x) {
    workgroupBarrier();
    if (own == 0u) {
      findRun(firstRow, begin);
    }
    if (own < QUADS) {
      largests[own] = vec4f(LEAST);
      totals[own] = vec4f();
    }
    let own_run = workgroupUniformLoad(&run);
    let slot = slotOf(firstRow + begin);
    // Each invocation has a pair of dimensions of some quads of rows.
    // What a loop declares is cleared here: drivers have kept it from one pass to the next.
    var lefts = array<vec4f, MOST_TASKS>();
    var rights = array<vec4f, MOST_TASKS>();
    for (var chunk = own_run.y; chunk <= own_run.z; chunk++) {
      let first = chunk * CHUNK;
      let home = blockStart(slot, first, kvHead);
      let end = min(CHUNK, own_run.w - first);
      for (var at = own; at < CHUNK / 2u * QUADS; at += THREADS) {
        let position = 2u * (at % (CHUNK / 2u));
        if (position < end) {
          score(position, at / (CHUNK / 2u), first, home);
        } else {
          weights[position * QUADS + at / (CHUNK / 2u)] = vec4f(LEAST);
          weights[(position + 1u) * QUADS + at / (CHUNK / 2u)] = vec4f(LEAST);
        }
      }
      workgroupBarrier();
      for (var at = own; at < GROUPS * QUADS; at += THREADS) {
        var most = vec4f(LEAST);
        for (var i = 0u; i < CHUNK / GROUPS; i++) {
          most = max(most, weights[at + i * GROUPS * QUADS]);
        }
        groups[at] = most;
      }
      workgroupBarrier();
      if (own < QUADS) {
        var most = groups[own];
        for (var i = 1u; i < GROUPS; i++) {
          most = max(most, groups[i * QUADS + own]);
        }
        let next = max(largests[own], most);
        kept[own] = exp(max(largests[own] - next, vec4f(-87.0)));
        added[own] = exp(max(most - next, vec4f(-87.0)));
        largests[own] = next;
        // What a block's weights are relative to.
        peaks[own] = most;
      }
      workgroupBarrier();
      for (var at = own; at < CHUNK * QUADS; at += THREADS) {
        let score = weights[at];
        let weight = exp(max(score - peaks[at % QUADS], vec4f(-87.0)));
        weights[at] = select(weight, vec4f(), score == vec4f(LEAST));
      }
      workgroupBarrier();
      for (var at = own; at < GROUPS * QUADS; at += THREADS) {
        var sum = vec4f();
        for (var i = 0u; i < CHUNK / GROUPS; i++) {
          sum += weights[at + i * GROUPS * QUADS];
        }
        groups[at] = sum;
      }
      workgroupBarrier();
      if (own < QUADS) {
        var sums = array<vec4f, 4>();
        for (var i = 0u; i < GROUPS; i += 4u) {
          for (var j = 0u; j < 4u; j++) {
            sums[j] += groups[(i + j) * QUADS + own];
          }
        }
        let sum = (sums[0] + sums[1]) + (sums[2] + sums[3]);
        totals[own] = fma(totals[own], kept[own], sum * added[own]);
      }
      for (var task = 0u; task < MOST_TASKS; task++) {
        let at = own + task * THREADS;
        if (at < PAIRS * QUADS) {
          let quad = at / PAIRS;
          let d = 2u * (at % PAIRS);
          // Sums of 32 positions, added in pairs, and pairs of pairs.
          var left = array<vec4f, 3>();
          var right = array<vec4f, 3>();
          for (var range = 0u; range < 8u; range++) {
            var a = vec4f();
            var b = vec4f();
            // Behind the end nothing weighs, and what is read is the last position.
            for (var i = 0u; i < 32u && range * 32u + i < end; i += 8u) {
              let p = range * 32u + i;
              let value = array<vec2f, 8>(
                valuesAt((home + min(p + 0u, end - 1u)) * STRIDE + d),
                valuesAt((home + min(p + 1u, end - 1u)) * STRIDE + d),
                valuesAt((home + min(p + 2u, end - 1u)) * STRIDE + d),
                valuesAt((home + min(p + 3u, end - 1u)) * STRIDE + d),
                valuesAt((home + min(p + 4u, end - 1u)) * STRIDE + d),
                valuesAt((home + min(p + 5u, end - 1u)) * STRIDE + d),
                valuesAt((home + min(p + 6u, end - 1u)) * STRIDE + d),
                valuesAt((home + min(p + 7u, end - 1u)) * STRIDE + d),
              );
              a = fma(weights[(p + 0u) * QUADS + quad], vec4f(value[0].x), a);
              b = fma(weights[(p + 0u) * QUADS + quad], vec4f(value[0].y), b);
              a = fma(weights[(p + 1u) * QUADS + quad], vec4f(value[1].x), a);
              b = fma(weights[(p + 1u) * QUADS + quad], vec4f(value[1].y), b);
              a = fma(weights[(p + 2u) * QUADS + quad], vec4f(value[2].x), a);
              b = fma(weights[(p + 2u) * QUADS + quad], vec4f(value[2].y), b);
              a = fma(weights[(p + 3u) * QUADS + quad], vec4f(value[3].x), a);
              b = fma(weights[(p + 3u) * QUADS + quad], vec4f(value[3].y), b);
              a = fma(weights[(p + 4u) * QUADS + quad], vec4f(value[4].x), a);
              b = fma(weights[(p + 4u) * QUADS + quad], vec4f(value[4].y), b);
              a = fma(weights[(p + 5u) * QUADS + quad], vec4f(value[5].x), a);
              b = fma(weights[(p + 5u) * QUADS + quad], vec4f(value[5].y), b);
              a = fma(weights[(p + 6u) * QUADS + quad], vec4f(value[6].x), a);
              b = fma(weights[(p + 6u) * QUADS + quad], vec4f(value[6].y), b);
              a = fma(weights[(p + 7u) * QUADS + quad], vec4f(value[7].x), a);
              b = fma(weights[(p + 7u) * QUADS + quad], vec4f(value[7].y), b);
            }
            if ((range & 1u) != 0u) {
              a = left[0] + a;
              b = right[0] + b;
              if ((range & 2u) != 0u) {
                a = left[1] + a;
                b = right[1] + b;
                if ((range & 4u) != 0u) {
                  a = left[2] + a;
                  b = right[2] + b;
                  lefts[task] = fma(lefts[task], kept[quad], a * added[quad]);
                  rights[task] = fma(rights[task], kept[quad], b * added[quad]);
                } else {
                  left[2] = a;
                  right[2] = b;
                }
              } else {
                left[1] = a;
                right[1] = b;
              }
            } else {
              left[0] = a;
              right[0] = b;
            }
          }
        }
      }
      workgroupBarrier();
    }
    for (var task = 0u; task < MOST_TASKS; task++) {
      let at = own + task * THREADS;
      if (at < PAIRS * QUADS) {
        for (var r = 0u; r < 4u; r++) {
          let row = at / PAIRS * 4u + r;
          if (ends[row] > 0u) {
            let inverse = 1.0 / totals[at / PAIRS][r];
            let result = params.out_at + ((firstRow + row) * params.nHeads + head) * DIM + 2u * (at % PAIRS);
            out[result] = lefts[task][r] * inverse;
            out[result + 1u] = rights[task][r] * inverse;
          }
        }
      }
    }
  }
}
