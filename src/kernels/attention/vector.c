// Causal grouped-query attention over the cache; see reference.ts for the order of the sums.
// p: step, qkv, keys, values, out, partials · i: rows, nHeads, nKvHeads, headDim, capacity, chunks a
// partials row has room for (0: none), cache type (0: f16, 1: f32) · f: 1 / sqrt(headDim)
//
// Few rows over a long context are split into chunks of positions that any thread may take; the
// second phase merges them in order, which gives the same bits as one thread going through them.
#include "../../../native/kernel.h"
#include "../../../native/vec.h"

#define ATTENTION_CHUNK 256
// Query heads that share one pass over keys and values, and the widest head.
#define HEAD_GROUP 4
#define MAX_HEAD_DIM 256

typedef struct {
  float max;
  float sum;
} softmax_state;

INLINE int32_t attention_chunks(const command *c, int32_t row) {
  return ((const int32_t *)c->p[0])[row * 4 + 2] / ATTENTION_CHUNK + 1;
}

static int32_t attention_is_split(const command *c) {
  if (c->i[5] == 0) return 0;
  for (int32_t row = 0; row < c->i[0]; row++) {
    if (attention_chunks(c, row) > 1) return 1;
  }
  return 0;
}

static work_plan attention_plan(const command *c, int32_t phase, int32_t threads) {
  const int32_t heads = c->i[0] * c->i[2];
  const int32_t split = attention_is_split(c);
  if (phase == 1) return split ? one_piece(c->i[0] * c->i[1]) : (work_plan){0, 1};
  return split ? (work_plan){heads * c->i[5], 1} : split_evenly(heads, threads);
}

INLINE f32x16 load_cached(const int32_t is_f32, const void *elements, size_t at) {
  return is_f32 ? load16((const float *)elements + at) : load_f16((const uint16_t *)elements + at);
}

// One chunk for `group` query heads (at most HEAD_GROUP): the weighted values into o (group,
// value_dim) and each head's maximum and sum. `group` and `is_f32` are constants to the compiler.
INLINE void attend_chunk(const int32_t group, const int32_t is_f32, const float *q,
                         const void *keys, const void *values, int32_t first, int32_t count,
                         int32_t head_dim, int32_t value_dim, float scale, softmax_state *state,
                         float *o) {
  float weight[HEAD_GROUP][ATTENTION_CHUNK];
  f32x16 peak[HEAD_GROUP];
  for (int32_t g = 0; g < group; g++) peak[g] = all16(-__builtin_inff());
  for (int32_t block = 0; block < count; block += 16) {
    const size_t k = (size_t)((first + block) >> 4) * head_dim * 16;
    f32x16 dot[HEAD_GROUP];
    for (int32_t g = 0; g < group; g++) dot[g] = all16(0.0f);
    for (int32_t d = 0; d < head_dim; d++) {
      const f32x16 key = load_cached(is_f32, keys, k + (size_t)d * 16);
      for (int32_t g = 0; g < group; g++) dot[g] = dot[g] + key * q[g * head_dim + d];
    }
    const i32x16 lane = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    const i32x16 hidden = lane >= count - block;  // positions after the row's own
    for (int32_t g = 0; g < group; g++) {
      f32x16 score = dot[g] * scale;
      score = select16(hidden, all16(-__builtin_inff()), score);
      store16(weight[g] + block, score);
      peak[g] = max16(peak[g], score);
    }
  }
  for (int32_t g = 0; g < group; g++) {
    const float max = max_lanes(peak[g]);
    f32x16 sums = all16(0.0f);
    for (int32_t block = 0; block < count; block += 16) {
      const f32x16 score = load16(weight[g] + block);
      const i32x16 hidden = (i32x16)(score == all16(-__builtin_inff()));
      const f32x16 e = (f32x16)((i32x16)exp16(score - max) & ~hidden);
      store16(weight[g] + block, e);
      sums = sums + e;
    }
    state[g] = (softmax_state){max, sum_lanes(sums)};
  }
  for (int32_t d = 0; d < value_dim; d += 16) {
    const size_t v = (size_t)first * value_dim + d;
    f32x16 sum[HEAD_GROUP];
    for (int32_t g = 0; g < group; g++) sum[g] = all16(0.0f);
    for (int32_t i = 0; i < count; i++) {
      const f32x16 value = load_cached(is_f32, values, v + (size_t)i * value_dim);
      for (int32_t g = 0; g < group; g++) sum[g] = sum[g] + value * weight[g][i];
    }
    for (int32_t g = 0; g < group; g++) store16(o + g * value_dim + d, sum[g]);
  }
}

#define ATTEND(GROUP, IS_F32)                                                                   \
  attend_chunk(GROUP, IS_F32, q, keys, values, first, count, head_dim, value_dim, scale, state, o)

static void attend(int32_t group, int32_t is_f32, const float *q, const void *keys,
                   const void *values, int32_t first, int32_t count, int32_t head_dim,
                   int32_t value_dim, float scale, softmax_state *state, float *o) {
  switch (group * 2 + is_f32) {
    case 9: ATTEND(4, 1); break;
    case 8: ATTEND(4, 0); break;
    case 7: ATTEND(3, 1); break;
    case 6: ATTEND(3, 0); break;
    case 5: ATTEND(2, 1); break;
    case 4: ATTEND(2, 0); break;
    case 3: ATTEND(1, 1); break;
    default: ATTEND(1, 0);
  }
}

// Folds the next chunk (s, o) into what came before (S, O).
INLINE void merge_chunk(softmax_state *S, float *O, softmax_state s, const float *o, int32_t dim) {
  const float max = S->max > s.max ? S->max : s.max;
  const float a = exp1(S->max - max), b = exp1(s.max - max);
  S->sum = S->sum * a + s.sum * b;
  S->max = max;
  for (int32_t d = 0; d < dim; d += 16) store16(O + d, load16(O + d) * a + load16(o + d) * b);
}

INLINE void finish_head(float *out, const float *O, float sum, int32_t head_dim) {
  for (int32_t d = 0; d < head_dim; d += 16) {
    store_first(out + d, load16(O + d) / sum, head_dim - d);
  }
}

// Where a chunk's state and values lie in the partials: (row, head, chunk, value_dim + 16).
INLINE float *attention_partial(const command *c, int32_t row, int32_t head, int32_t chunk) {
  const size_t stride = (((size_t)c->i[3] + 15) & ~(size_t)15) + 16;
  return (float *)c->p[5] + (((size_t)row * c->i[1] + head) * c->i[5] + chunk) * stride;
}

static void attention_heads(const command *c, int32_t row, int32_t kv, int32_t only_chunk) {
  const int32_t n_heads = c->i[1], n_kv = c->i[2], head_dim = c->i[3];
  const int32_t value_dim = (head_dim + 15) & ~15, per_kv = n_heads / n_kv;
  const int32_t *step = (const int32_t *)c->p[0] + row * 4;
  const size_t slot = (size_t)step[1], capacity = (size_t)c->i[4];
  const int32_t total = step[2] + 1, chunks = attention_chunks(c, row);
  if (only_chunk >= chunks) return;
  const int32_t is_f32 = c->i[6];
  const size_t element = is_f32 ? 4 : 2, block = (slot * n_kv + kv) * capacity * element;
  const char *keys = (const char *)c->p[2] + block * head_dim;
  const char *values = (const char *)c->p[3] + block * value_dim;
  const float *queries = (const float *)c->p[1] + (size_t)row * (n_heads + 2 * n_kv) * head_dim;
  for (int32_t g = 0; g < per_kv; g += HEAD_GROUP) {
    const int32_t head = kv * per_kv + g;
    const int32_t group = per_kv - g < HEAD_GROUP ? per_kv - g : HEAD_GROUP;
    const float *q = queries + (size_t)head * head_dim;
    softmax_state S[HEAD_GROUP], s[HEAD_GROUP];
    float O[HEAD_GROUP * MAX_HEAD_DIM], o[HEAD_GROUP * MAX_HEAD_DIM];
    const int32_t from = only_chunk < 0 ? 0 : only_chunk, to = only_chunk < 0 ? chunks : from + 1;
    for (int32_t chunk = from; chunk < to; chunk++) {
      const int32_t first = chunk * ATTENTION_CHUNK;
      const int32_t left = total - first, count = left < ATTENTION_CHUNK ? left : ATTENTION_CHUNK;
      const int32_t fresh = chunk == from;
      attend(group, is_f32, q, keys, values, first, count, head_dim, value_dim, c->f[0],
             fresh ? S : s, fresh ? O : o);
      for (int32_t i = 0; !fresh && i < group; i++) {
        merge_chunk(&S[i], O + i * value_dim, s[i], o + i * value_dim, value_dim);
      }
    }
    for (int32_t i = 0; i < group; i++) {
      if (only_chunk < 0) {
        float *out = (float *)c->p[4] + ((size_t)row * n_heads + head + i) * head_dim;
        finish_head(out, O + i * value_dim, S[i].sum, head_dim);
      } else {
        float *partial = attention_partial(c, row, head + i, only_chunk);
        partial[0] = S[i].max;
        partial[1] = S[i].sum;
        for (int32_t d = 0; d < value_dim; d++) partial[16 + d] = O[i * value_dim + d];
      }
    }
  }
}

static void attention_merge(const command *c, int32_t row, int32_t head) {
  const int32_t head_dim = c->i[3], value_dim = (head_dim + 15) & ~15;
  float *O = attention_partial(c, row, head, 0) + 16;
  softmax_state S = {O[-16], O[-15]};
  for (int32_t chunk = 1; chunk < attention_chunks(c, row); chunk++) {
    const float *o = attention_partial(c, row, head, chunk) + 16;
    merge_chunk(&S, O, (softmax_state){o[-16], o[-15]}, o, value_dim);
  }
  finish_head((float *)c->p[4] + ((size_t)row * c->i[1] + head) * head_dim, O, S.sum, head_dim);
}

static void attention_run(const command *c, int32_t phase, int32_t first, int32_t last) {
  const int32_t n_heads = c->i[1], n_kv = c->i[2], room = c->i[5];
  const int32_t split = attention_is_split(c);
  for (int32_t task = first; task < last; task++) {
    if (phase == 1) {
      attention_merge(c, task / n_heads, task % n_heads);
    } else if (split) {
      const int32_t pair = task / room;
      attention_heads(c, pair / n_kv, pair % n_kv, task % room);
    } else {
      attention_heads(c, task / n_kv, task % n_kv, -1);
    }
  }
}
