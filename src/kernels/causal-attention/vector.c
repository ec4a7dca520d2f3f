// Causal attention of whole sequences, sixteen queries in the lanes; see reference.ts.
#include "../c/kernel.h"
#include "lanes.h"

enum { causal_attention_phases = 1 };

INLINE int32_t blocks_of(int32_t length) { return (length + LANES - 1) / LANES; }

static work_plan causal_attention_plan(const causal_attention_command *c, int32_t phase, int32_t threads) {
  (void)phase;
  return split_evenly(c->rows / c->length * c->n_heads * blocks_of(c->length), threads);
}

// Queries [query, query + 16) of the sequence that begins at row `start`.
static void attend_queries(const causal_attention_command *c, int32_t start, int32_t head, int32_t query) {
  const int32_t dim = c->head_dim, shared = head / (c->n_heads / c->n_kv_heads);
  const int32_t n = c->length - query < LANES ? c->length - query : LANES;
  const size_t stride = (size_t)(c->n_heads + 2 * c->n_kv_heads) * dim, out_stride = (size_t)c->n_heads * dim;
  const float *sequence = c->qkv + start * stride;
  const float *keys = sequence + (size_t)(c->n_heads + shared) * dim, *values = keys + (size_t)c->n_kv_heads * dim;
  float queries[MAX_LANE_DIM * LANES], sums[MAX_LANE_DIM * LANES], weights[ATTEND_KEYS * LANES];
  to_lanes(queries, sequence + query * stride + (size_t)head * dim, stride, n, dim);
  for (int32_t d = 0; d < dim; d++) store16(sums + d * LANES, (f32x16){0});
  f32x16 max = all16(-__builtin_inff()), sum = {0};
  for (int32_t first = 0; first < query + n; first += ATTEND_KEYS) {
    const int32_t count = query + n - first < ATTEND_KEYS ? query + n - first : ATTEND_KEYS;
    lane_products(weights, queries, keys + first * stride, stride, count, dim);
    f32x16 largest = max;
    for (int32_t i = 0; i < count; i++) {
      f32x16 score = load16(weights + i * LANES) * c->scale;
      score = select16(lanes_from(query, first + i), score, all16(-__builtin_inff()));
      store16(weights + i * LANES, score);
      largest = max16(score, largest);
    }
    const f32x16 factor = exp16(max - largest);
    sum = sum * factor;
    for (int32_t d = 0; d < dim; d++) store16(sums + d * LANES, load16(sums + d * LANES) * factor);
    for (int32_t i = 0; i < count; i++) {
      const f32x16 weight = exp16(load16(weights + i * LANES) - largest);
      const f32x16 seen = select16(lanes_from(query, first + i), weight, (f32x16){0});
      store16(weights + i * LANES, seen);
      sum = sum + seen;
    }
    lane_sums(sums, weights, values + first * stride, stride, count, dim);
    max = largest;
  }
  const size_t row = (size_t)start + query;
  from_lanes(c->out + row * out_stride + (size_t)head * dim, out_stride, n, sums, dim, 1.0f / sum);
  for (int32_t lane = 0; lane < n; lane++) {
    float *softmax = c->softmax + ((row + lane) * c->n_heads + head) * 2;
    softmax[0] = max[lane];
    softmax[1] = sum[lane];
  }
}

static void causal_attention_run(const causal_attention_command *c, int32_t phase, int32_t first, int32_t last) {
  (void)phase;
  const int32_t blocks = blocks_of(c->length);
  for (int32_t task = first; task < last; task++) {
    // The longest ones first, of all heads of a sequence.
    const int32_t block = blocks - 1 - task / c->n_heads % blocks;
    attend_queries(c, task / c->n_heads / blocks * c->length, task % c->n_heads, block * LANES);
  }
}
