// The gradient of causal attention; see reference.ts. First each query's product with its own result; then
// the gradients of queries, sixteen of them in the lanes, and of keys and values, sixteen keys in the lanes.
#include "../c/kernel.h"
#include "../causal-attention/lanes.h"

enum { causal_attention_backward_phases = 2 };

// A sequence of a command, and what its rows are apart.
typedef struct {
  const causal_attention_backward_command *c;
  size_t start, stride, out_stride;
} attention_sequence;

INLINE int32_t query_tasks(const causal_attention_backward_command *c) {
  return c->rows / c->length * c->n_heads * blocks_of(c->length);
}

static work_plan causal_attention_backward_plan(const causal_attention_backward_command *c, int32_t phase,
                                                int32_t threads) {
  if (phase == 0) return split_evenly(c->rows, threads);
  return split_evenly(query_tasks(c) + c->rows / c->length * c->n_kv_heads * blocks_of(c->length), threads);
}

INLINE float lane_dot(const float *a, const float *b, int32_t dim) {
  f32x16 sums = {0};
  for (int32_t d = 0; d < dim; d += LANES) sums = sums + load_first(a + d, dim - d) * load_first(b + d, dim - d);
  return sum_lanes(sums);
}

// Of n rows and sixteen lanes: products with rows become softmax weights, and products with gradients theirs.
// What belongs to a query lies in its lane, or beside its row.
INLINE void softmax_gradient(float *weights, float *d_weights, f32x16 score, f32x16 d_weight, f32x16 max,
                             f32x16 inverse, f32x16 along, i32x16 seen) {
  f32x16 p = exp16(score - max) * inverse;
  p = select16(seen, p, (f32x16){0});
  store16(weights, p);
  store16(d_weights, p * (d_weight - along));
}

static void query_gradient(const attention_sequence *s, int32_t head, int32_t query) {
  const causal_attention_backward_command *c = s->c;
  const int32_t dim = c->head_dim, n_heads = c->n_heads, shared = head / (n_heads / c->n_kv_heads);
  const int32_t n = c->length - query < LANES ? c->length - query : LANES;
  const float *sequence = c->qkv + s->start * s->stride;
  const float *keys = sequence + (size_t)(n_heads + shared) * dim, *values = keys + (size_t)c->n_kv_heads * dim;
  const size_t row = s->start + query;
  float queries[MAX_LANE_DIM * LANES], d_outs[MAX_LANE_DIM * LANES], sums[MAX_LANE_DIM * LANES];
  float weights[ATTEND_KEYS * LANES], d_weights[ATTEND_KEYS * LANES];
  to_lanes(queries, sequence + query * s->stride + (size_t)head * dim, s->stride, n, dim);
  to_lanes(d_outs, c->d_out + row * s->out_stride + (size_t)head * dim, s->out_stride, n, dim);
  f32x16 max = {0}, inverse = {0}, along = {0};
  for (int32_t lane = 0; lane < n; lane++) {
    const size_t at = (row + lane) * n_heads + head;
    max[lane] = c->softmax[at * 2];
    inverse[lane] = 1.0f / c->softmax[at * 2 + 1];
    along[lane] = ((const float *)c->scratch)[at];
  }
  for (int32_t d = 0; d < dim; d++) store16(sums + d * LANES, (f32x16){0});
  for (int32_t first = 0; first < query + n; first += ATTEND_KEYS) {
    const int32_t count = query + n - first < ATTEND_KEYS ? query + n - first : ATTEND_KEYS;
    lane_products(weights, queries, keys + first * s->stride, s->stride, count, dim);
    lane_products(d_weights, d_outs, values + first * s->stride, s->stride, count, dim);
    for (int32_t i = 0; i < count; i++) {
      float *p = weights + i * LANES, *dp = d_weights + i * LANES;
      const i32x16 seen = lanes_from(query, first + i);
      softmax_gradient(p, dp, load16(p) * c->scale, load16(dp), max, inverse, along, seen);
    }
    lane_sums(sums, d_weights, keys + first * s->stride, s->stride, count, dim);
  }
  from_lanes(c->d_qkv + row * s->stride + (size_t)head * dim, s->stride, n, sums, dim, all16(c->scale));
}

static void key_gradient(const attention_sequence *s, int32_t shared, int32_t key) {
  const causal_attention_backward_command *c = s->c;
  const int32_t dim = c->head_dim, n_heads = c->n_heads, group = n_heads / c->n_kv_heads;
  const int32_t n = c->length - key < LANES ? c->length - key : LANES;
  const float *sequence = c->qkv + s->start * s->stride;
  const size_t key_at = (size_t)(n_heads + shared) * dim, value_at = key_at + (size_t)c->n_kv_heads * dim;
  float keys[MAX_LANE_DIM * LANES], values[MAX_LANE_DIM * LANES];
  float d_keys[MAX_LANE_DIM * LANES], d_values[MAX_LANE_DIM * LANES];
  float weights[ATTEND_KEYS * LANES], d_weights[ATTEND_KEYS * LANES];
  to_lanes(keys, sequence + key * s->stride + key_at, s->stride, n, dim);
  to_lanes(values, sequence + key * s->stride + value_at, s->stride, n, dim);
  for (int32_t d = 0; d < dim; d++) {
    store16(d_keys + d * LANES, (f32x16){0});
    store16(d_values + d * LANES, (f32x16){0});
  }
  for (int32_t head = shared * group; head < (shared + 1) * group; head++) {
    for (int32_t first = key; first < c->length; first += ATTEND_KEYS) {
      const int32_t count = c->length - first < ATTEND_KEYS ? c->length - first : ATTEND_KEYS;
      const float *queries = sequence + first * s->stride + (size_t)head * dim;
      const float *d_outs = c->d_out + (s->start + first) * s->out_stride + (size_t)head * dim;
      lane_products(weights, keys, queries, s->stride, count, dim);
      lane_products(d_weights, values, d_outs, s->out_stride, count, dim);
      for (int32_t i = 0; i < count; i++) {
        float *p = weights + i * LANES, *dp = d_weights + i * LANES;
        const size_t at = (s->start + first + i) * n_heads + head;
        const f32x16 inverse = all16(1.0f / c->softmax[at * 2 + 1]);
        const f32x16 along = all16(((const float *)c->scratch)[at]);
        // Keys up to the query's own.
        const i32x16 seen = ~lanes_from(key, first + i + 1);
        softmax_gradient(p, dp, load16(p) * c->scale, load16(dp), all16(c->softmax[at * 2]), inverse, along, seen);
      }
      lane_sums(d_values, weights, d_outs, s->out_stride, count, dim);
      lane_sums(d_keys, d_weights, queries, s->stride, count, dim);
    }
  }
  float *out = c->d_qkv + (s->start + key) * s->stride;
  from_lanes(out + key_at, s->stride, n, d_keys, dim, all16(c->scale));
  from_lanes(out + value_at, s->stride, n, d_values, dim, all16(1.0f));
}

static void causal_attention_backward_run(const causal_attention_backward_command *c, int32_t phase, int32_t first,
                                          int32_t last) {
  const int32_t dim = c->head_dim, blocks = blocks_of(c->length);
  const size_t stride = (size_t)(c->n_heads + 2 * c->n_kv_heads) * dim, out_stride = (size_t)c->n_heads * dim;
  for (int32_t task = first; task < last; task++) {
    if (phase == 0) {
      for (int32_t head = 0; head < c->n_heads; head++) {
        const size_t at = (size_t)task * c->n_heads + head;
        ((float *)c->scratch)[at] = lane_dot(c->d_out + at * dim, c->out + at * dim, dim);
      }
      continue;
    }
    const int32_t is_query = task < query_tasks(c), heads = is_query ? c->n_heads : c->n_kv_heads;
    const int32_t own = is_query ? task : task - query_tasks(c), block = own / heads % blocks;
    const attention_sequence s = {c, (size_t)(own / heads / blocks) * c->length, stride, out_stride};
    // The longest ones first: those of the last queries, and of the first keys.
    if (is_query) query_gradient(&s, own % heads, (blocks - 1 - block) * LANES);
    else key_gradient(&s, own % heads, block * LANES);
  }
}
