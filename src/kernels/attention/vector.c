// Causal grouped-query attention over the cache; see reference.ts for the order of the sums.
//
// Few rows over a long context are split into chunks of positions that any thread may take; the
// second phase merges them in order, which gives the same bits as one thread going through them. Many
// rows of a prompt go in blocks that share their way through the cache.
#include "../c/kernel.h"
#include "attend-chunk.h"

INLINE int32_t attention_chunks(const attention_command *c, int32_t row) {
  return c->step[row * STEP_WORDS + STEP_POSITION] / ATTENTION_CHUNK + 1;
}

// The first position that a row looks at, and the chunk that it lies in.
INLINE int32_t attention_start(const attention_command *c, int32_t row) {
  const int32_t positions = c->step[row * STEP_WORDS + STEP_POSITION] + 1, window = c->window;
  return window > 0 && positions > window ? positions - window : 0;
}

INLINE int32_t first_chunk(const attention_command *c, int32_t row) {
  return attention_start(c, row) / ATTENTION_CHUNK;
}

static int32_t attention_is_split(const attention_command *c) {
  if (c->chunks == 0) return 0;
  for (int32_t row = 0; row < c->rows; row++) {
    if (attention_chunks(c, row) - first_chunk(c, row) > 1) return 1;
  }
  return 0;
}

// Rows that fill a group with a head's queries; those of a group look back to the same position.
INLINE int32_t block_rows(const attention_command *c) {
  if (c->window > 0) return 1;
  const int32_t per_kv = c->n_heads / c->cache_n_kv_heads;
  return HEAD_GROUP / (per_kv < ROW_HEADS ? per_kv : ROW_HEADS);
}

enum { attention_phases = 2 };

static work_plan attention_plan(const attention_command *c, int32_t phase, int32_t threads) {
  const int32_t rows = c->rows, n_kv = c->cache_n_kv_heads, size = block_rows(c);
  const int32_t split = attention_is_split(c);
  if (phase == 1) return split ? split_evenly(rows * c->n_heads, threads) : (work_plan){0, 1};
  if (split) return split_evenly(rows * n_kv * c->chunks, threads);
  return split_evenly((rows + size - 1) / size * n_kv, threads);
}

#define ATTEND(GROUP, TYPE) \
  case GROUP * 4 + TYPE: attend_chunk(GROUP, TYPE, h, keys, values, next, state, o); break
#define ATTEND_ALL(GROUP)    \
  ATTEND(GROUP, CACHE_INT4); \
  ATTEND(GROUP, CACHE_INT8); \
  ATTEND(GROUP, CACHE_F32);  \
  ATTEND(GROUP, CACHE_F16)

static void attend(int32_t group, const head_group *h, const uint8_t *keys, const uint8_t *values,
                   const uint8_t *next, softmax_state *state, float *o) {
  switch (group * 4 + h->type) {
#if HEAD_GROUP == 8
    ATTEND_ALL(8);
    ATTEND_ALL(6);
#endif
    ATTEND_ALL(4);
    ATTEND_ALL(3);
    ATTEND_ALL(2);
    ATTEND_ALL(1);
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
INLINE float *attention_partial(const attention_command *c, int32_t row, int32_t head, int32_t chunk) {
  const size_t stride = (((size_t)c->cache_head_dim + 15) & ~(size_t)15) + 16;
  return (float *)c->scratch + (((size_t)row * c->n_heads + head) * c->chunks + chunk) * stride;
}

// How many positions of a chunk each query looks at.
INLINE void count_positions(head_group *h, int32_t rows, int32_t heads, int32_t left) {
  for (int32_t i = 0; i < rows * heads; i++) {
    const int32_t count = left + i / heads;
    h->count[i] = count < ATTENTION_CHUNK ? count : ATTENTION_CHUNK;
  }
  h->least = h->count[0];
  h->most = h->count[rows * heads - 1];
}

// A query as halves are multiplied by it.
INLINE const float *short_query(float *out, const float *q, int32_t head_dim) {
  for (int32_t d = 0; d < head_dim; d += LANES) {
    store16(out + d, short16(load_first(q + d, head_dim - d)));
  }
  return out;
}

INLINE size_t attention_block(const attention_command *c, size_t slot, int32_t chunk, int32_t kv) {
  const size_t first = (size_t)chunk * ATTENTION_CHUNK;
  return block_start(c->table_data, c->table_columns, slot, first, c->cache_n_kv_heads, kv);
}

// What is read after `kv` of `rows` rows: the next key head's first chunk, or that of the rows behind them.
INLINE size_t block_after(const attention_command *c, int32_t row, int32_t rows, int32_t kv) {
  const int32_t is_last = kv + 1 == c->cache_n_kv_heads;
  const int32_t next = is_last && row + rows < c->rows ? row + rows : row;
  return attention_block(c, (size_t)c->step[next * STEP_WORDS + STEP_SLOT], first_chunk(c, next), is_last ? 0 : kv + 1);
}

// The queries of `rows` rows, whose positions follow each other in one slot, for a key head: all chunks
// into out, or only one, of one row, into the partials.
static void attention_heads(const attention_command *c, int32_t row, int32_t rows, int32_t kv,
                            int32_t only_chunk) {
  const int32_t n_heads = c->n_heads, n_kv = c->cache_n_kv_heads, head_dim = c->cache_head_dim;
  const int32_t value_dim = (head_dim + 15) & ~15, per_kv = n_heads / n_kv;
  const int32_t *step = c->step + row * STEP_WORDS;
  const size_t slot = (size_t)step[STEP_SLOT];
  const int32_t total = step[STEP_POSITION] + 1, chunks = attention_chunks(c, row + rows - 1);
  const int32_t start = attention_start(c, row), begin = first_chunk(c, row);
  if (only_chunk >= chunks || (only_chunk >= 0 && only_chunk < begin)) return;
  head_group h = {.type = c->cache_type, .head_dim = head_dim, .value_dim = value_dim, .scale = c->scale};
  h.layout = layout_of(h.type, head_dim);
  const size_t key_bytes = h.layout.header + h.layout.key;
  const size_t value_bytes = h.layout.header + h.layout.value;
  const float *queries = c->qkv + (size_t)row * (n_heads + 2 * n_kv) * head_dim;
  split_group split;
  float rounded[HEAD_GROUP][MAX_HEAD_DIM];
  for (int32_t g = 0; g < per_kv; g += ROW_HEADS) {
    const int32_t head = kv * per_kv + g, heads = per_kv - g < ROW_HEADS ? per_kv - g : ROW_HEADS;
    const int32_t group = rows * heads;
    for (int32_t i = 0; i < group; i++) {
      const size_t from = (size_t)(i / heads) * (n_heads + 2 * n_kv) + head + i % heads;
      h.q[i] = queries + from * head_dim;
    }
    if (h.type == CACHE_INT8 || h.type == CACHE_INT4) {
      split_queries(&split, group, h.type, h.q, head_dim);
      h.split = &split;
    }
    if (h.type == CACHE_F16) {
      for (int32_t i = 0; i < group; i++) h.q[i] = short_query(rounded[i], h.q[i], head_dim);
    }
    softmax_state S[HEAD_GROUP], s[HEAD_GROUP];
    float O[HEAD_GROUP * MAX_HEAD_DIM], o[HEAD_GROUP * MAX_HEAD_DIM];
    const int32_t from = only_chunk < 0 ? begin : only_chunk, to = only_chunk < 0 ? chunks : from + 1;
    for (int32_t chunk = from; chunk < to; chunk++) {
      const int32_t first = chunk * ATTENTION_CHUNK, fresh = chunk == from;
      count_positions(&h, rows, heads, total - first);
      h.skipped = start - first;
      const size_t at = attention_block(c, slot, chunk, kv);
      const size_t after =
          chunk + 1 < to ? attention_block(c, slot, chunk + 1, kv) : block_after(c, row, rows, kv);
      attend(group, &h, c->cache_keys + at * key_bytes, c->cache_values + at * value_bytes,
             c->cache_keys + after * key_bytes, fresh ? S : s, fresh ? O : o);
      for (int32_t i = 0; !fresh && i < group; i++) {
        if (h.count[i] <= 0) continue;
        merge_chunk(&S[i], O + i * value_dim, s[i], o + i * value_dim, value_dim);
      }
    }
    for (int32_t i = 0; i < group; i++) {
      const int32_t at = head + i % heads;
      if (only_chunk < 0) {
        float *out = c->out + ((size_t)(row + i / heads) * n_heads + at) * head_dim;
        finish_head(out, O + i * value_dim, S[i].sum, head_dim);
      } else {
        float *partial = attention_partial(c, row, at, only_chunk);
        partial[0] = S[i].max;
        partial[1] = S[i].sum;
        for (int32_t d = 0; d < value_dim; d++) partial[16 + d] = O[i * value_dim + d];
      }
    }
  }
}

// A block of rows: together if they are neighbours in a slot and fill a group, else one by one.
static void attention_rows(const attention_command *c, int32_t block, int32_t kv) {
  const int32_t size = block_rows(c), row = block * size;
  const int32_t rows = c->rows - row < size ? c->rows - row : size;
  const int32_t *step = c->step + row * STEP_WORDS;
  int32_t together = rows == size;
  for (int32_t i = 1; i < rows; i++) {
    if (step[i * STEP_WORDS + STEP_SLOT] != step[STEP_SLOT] || step[i * STEP_WORDS + STEP_POSITION] != step[STEP_POSITION] + i) together = 0;
  }
  for (int32_t i = 0; i < rows; i += together ? rows : 1) {
    attention_heads(c, row + i, together ? rows : 1, kv, -1);
  }
}

static void attention_merge(const attention_command *c, int32_t row, int32_t head) {
  const int32_t head_dim = c->cache_head_dim, value_dim = (head_dim + 15) & ~15;
  const int32_t begin = first_chunk(c, row);
  float *O = attention_partial(c, row, head, begin) + 16;
  softmax_state S = {O[-16], O[-15]};
  for (int32_t chunk = begin + 1; chunk < attention_chunks(c, row); chunk++) {
    const float *o = attention_partial(c, row, head, chunk) + 16;
    merge_chunk(&S, O, (softmax_state){o[-16], o[-15]}, o, value_dim);
  }
  finish_head(c->out + ((size_t)row * c->n_heads + head) * head_dim, O, S.sum, head_dim);
}

static void attention_run(const attention_command *c, int32_t phase, int32_t first, int32_t last) {
  const int32_t n_heads = c->n_heads, n_kv = c->cache_n_kv_heads, room = c->chunks;
  const int32_t split = attention_is_split(c);
  for (int32_t task = first; task < last; task++) {
    if (phase == 1) {
      attention_merge(c, task / n_heads, task % n_heads);
    } else if (split) {
      const int32_t pair = task / room;
      attention_heads(c, pair / n_kv, 1, pair % n_kv, task % room);
    } else {
      attention_rows(c, task / n_kv, task % n_kv);
    }
  }
}
