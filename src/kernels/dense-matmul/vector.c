// The dense product around the int8 sums: float weights and the output.
// A row's float sum runs over the columns in order, in its own lane.
#include "dense-matmul.h"

// A variant says with DENSE_TOKENS and SHARED_STRIPES how many tokens by how many stripes it multiplies by
// float weights at once: as many sums as stay in registers. One token takes ALONE_STRIPES, because a single
// stream of weights would wait for memory.
#ifndef ALONE_STRIPES
#define ALONE_STRIPES 4
#endif
#define MOST_STRIPES (ALONE_STRIPES > SHARED_STRIPES ? ALONE_STRIPES : SHARED_STRIPES)

// What a variant's int8_sums multiplies is w + STORED_BIAS; what is stored, unless it says otherwise.
#ifndef STORED_BIAS
#define STORED_BIAS 128
#endif

// Stripes of a task of phase 1.
INLINE int32_t task_stripes(const dense_matmul_command *c) {
  if (c->weights_type == DENSE_INT8) return 4;
  return c->rows == 1 ? ALONE_STRIPES : SHARED_STRIPES;
}

enum { dense_matmul_phases = 2 };

static work_plan dense_matmul_plan(const dense_matmul_command *c, int32_t phase, int32_t threads) {
  if (phase == 0) {
    const int32_t each = c->weights_type == DENSE_INT8 ? 1 : DENSE_TOKENS;
    const int32_t tasks = (c->rows + each - 1) / each;
    return c->rows < 4 ? one_piece(tasks) : split_evenly(tasks, threads);
  }
  const int32_t stripes = (c->weights_rows + 15) / 16, each = task_stripes(c);
  return split_evenly((stripes + each - 1) / each, threads);
}

INLINE void store_dense(const dense_matmul_command *c, int32_t token, int32_t stripe, f32x16 y) {
  const int32_t rows = c->weights_rows, row = stripe * 16, n = rows - row;
  float *out = c->out + (size_t)token * rows + row;
  if (c->accumulate) y = load_first(out, n) + y;
  store_first(out, y, n);
}

// The sums of one stripe by one token as float32.
INLINE f32x16 int8_result(i32x16 H, i32x16 L, const split_token *split, f32x16 row_scales) {
  const f32x16 sum = join_sums(H - STORED_BIAS * split->hi_sum, L - STORED_BIAS * split->lo_sum);
  return sum * (row_scales * split->scale);
}

INLINE void int8_block(const dense_matmul_command *c, const int32_t tokens, int32_t token, int32_t stripe) {
  const int32_t cols = c->weights_cols, groups = (cols + 3) / 4;
  const size_t stride = split_stride(cols), plane = plane_bytes(cols);
  const uint8_t *w = c->weights_data + (size_t)stripe * groups * 64;
  const int8_t *planes = (const int8_t *)c->scratch + token * stride;
  i32x16 H[INT8_TOKENS], L[INT8_TOKENS];
  int8_sums(tokens, w, groups, planes, stride, plane, H, L);
  for (int32_t t = 0; t < tokens; t++) {
    const split_token *split = (const split_token *)(planes + t * stride + 2 * plane);
    const f32x16 row_scales = load16(c->weights_scales + stripe * 16);
    store_dense(c, token + t, stripe, int8_result(H[t], L[t], split, row_scales));
  }
}

#ifdef INT8_STRIPES
// One token by INT8_STRIPES stripes.
INLINE void int8_alone(const dense_matmul_command *c, int32_t stripe) {
  const int32_t cols = c->weights_cols, groups = (cols + 3) / 4;
  const size_t plane = plane_bytes(cols), stripe_bytes = (size_t)groups * 64;
  const uint8_t *w = c->weights_data + stripe * stripe_bytes;
  const int8_t *planes = (const int8_t *)c->scratch;
  const split_token *split = (const split_token *)(planes + 2 * plane);
  i32x16 H[INT8_STRIPES], L[INT8_STRIPES];
  int8_sums_alone(w, stripe_bytes, groups, planes, plane, H, L);
  for (int32_t s = 0; s < INT8_STRIPES; s++) {
    const f32x16 row_scales = load16(c->weights_scales + (stripe + s) * 16);
    store_dense(c, 0, stripe + s, int8_result(H[s], L[s], split, row_scales));
  }
}
#endif

INLINE void int8_task(const dense_matmul_command *c, int32_t stripe, int32_t end) {
#ifdef INT8_STRIPES
  if (c->rows == 1) {
    for (; stripe + INT8_STRIPES <= end; stripe += INT8_STRIPES) int8_alone(c, stripe);
  }
#endif
  for (; stripe < end; stripe++) {
#define PRODUCT(n, token) int8_block(c, n, token, stripe)
    EACH_TOKEN_BLOCK(INT8_TOKENS, c->rows, PRODUCT);
#undef PRODUCT
  }
}

// Where a block of tokens, of which `token` is the first, lies in scratch as float products read it.
INLINE float *float_block_at(const dense_matmul_command *c, int32_t token) {
  return (float *)c->scratch + (size_t)token * c->weights_cols;
}

// Puts up to DENSE_TOKENS tokens of x together: the values of a column are neighbours, so that a product
// reads one stream, whose lines do not fall into the same few sets of the cache as those of rows with a
// power of two of columns would. For halves they become short floats on the way, unless they stay whole.
INLINE void interleave_tokens(const dense_matmul_command *c, int32_t token) {
  const int32_t cols = c->weights_cols, left = c->rows - token, shorten = c->weights_type == DENSE_F16 && !c->whole_input;
  const int32_t tokens = left < DENSE_TOKENS ? left : DENSE_TOKENS;
  const float *x = c->x + (size_t)token * cols;
  float *to = float_block_at(c, token);
  for (int32_t t = 0; t < tokens; t++) {
    for (int32_t col = 0; col < cols; col += LANES) {
      const int32_t n = cols - col < LANES ? cols - col : LANES;
      f32x16 v = load_first(x + (size_t)t * cols + col, n);
      if (shorten) v = short16(v);
      for (int32_t i = 0; i < n; i++) to[(size_t)(col + i) * tokens + t] = v[i];
    }
  }
}

// How weights are read: floats, halves that multiply short floats or whole ones, or halves that are taken
// for finite.
enum { FLOATS, HALVES, WHOLE, FINITE_HALVES };

// The sums of `tokens` tokens whose columns lie `step` floats apart from x on. `kind` and both counts are
// constants to the compiler, so that the sums stay in registers. Returns 0, and stores nothing, if halves
// were taken for finite and are not.
INLINE int32_t block_of_kind(const dense_matmul_command *c, const int32_t kind, const int32_t tokens,
                             const int32_t stripes, const float *x, int32_t step, int32_t token,
                             int32_t stripe) {
  const int32_t cols = c->weights_cols;
  const int32_t is_exact = kind == HALVES || kind == FINITE_HALVES;
  const size_t stripe_floats = (size_t)cols * 16;
  const float *w32 = (const float *)c->weights_data + stripe * stripe_floats;
  const uint16_t *w16 = (const uint16_t *)c->weights_data + stripe * stripe_floats;
  f32x16 sum[MOST_STRIPES][DENSE_TOKENS];
  u16x16 seen = {0};
  for (int32_t s = 0; s < stripes; s++) {
    for (int32_t t = 0; t < tokens; t++) sum[s][t] = all16(0.0f);
  }
  for (int32_t col = 0; col < cols; col++, x += step) {
    for (int32_t s = 0; s < stripes; s++) {
      const size_t at = s * stripe_floats + (size_t)col * 16;
      // With several products for each line of a single stripe the processor does not look ahead to the
      // next one.
      if (tokens > 1 && SHARED_STRIPES == 1 && kind != FLOATS && !(col & 1)) {
        __builtin_prefetch(w16 + at + stripe_floats, 0, 2);
      }
      f32x16 w;
      if (kind == FLOATS) {
        w = load16(w32 + at);
      } else if (kind != FINITE_HALVES) {
        w = load_f16(w16 + at);
      } else {
        w = load_finite_f16(w16 + at, &seen);
      }
      for (int32_t t = 0; t < tokens; t++) {
        const f32x16 value = all16(x[t]);
        sum[s][t] = is_exact ? add_exact(sum[s][t], w, value) : sum[s][t] + w * value;
      }
    }
  }
  if (kind == FINITE_HALVES && !all_finite(seen)) return 0;
  for (int32_t s = 0; s < stripes; s++) {
    for (int32_t t = 0; t < tokens; t++) store_dense(c, token + t, stripe + s, sum[s][t]);
  }
  return 1;
}

// `kind` is that of the command, which does not know yet whether halves are finite.
INLINE void float_block(const dense_matmul_command *c, const int32_t kind, const int32_t tokens,
                        const int32_t stripes, int32_t token, int32_t stripe) {
  const float *x = float_block_at(c, token);
  if (kind != HALVES) {
    block_of_kind(c, kind, tokens, stripes, x, tokens, token, stripe);
  } else if (!block_of_kind(c, FINITE_HALVES, tokens, stripes, x, tokens, token, stripe)) {
    for (int32_t i = 0; i < tokens * stripes; i++) {
      const int32_t t = i % tokens;
      block_of_kind(c, HALVES, 1, 1, x + t, tokens, token + t, stripe + i / tokens);
    }
  }
}

// All tokens by `stripes` stripes; weights that one block has read come from a cache for the next.
INLINE void float_stripes(const dense_matmul_command *c, const int32_t kind, const int32_t stripes, int32_t stripe) {
#define PRODUCT(n, token) float_block(c, kind, n, stripes, token, stripe)
  EACH_TOKEN_BLOCK(DENSE_TOKENS, c->rows, PRODUCT);
#undef PRODUCT
}

INLINE void float_task(const dense_matmul_command *c, const int32_t kind, int32_t stripe, int32_t end) {
  if (c->rows == 1) {
    for (; stripe + ALONE_STRIPES <= end; stripe += ALONE_STRIPES) {
      float_block(c, kind, 1, ALONE_STRIPES, 0, stripe);
    }
  } else if (SHARED_STRIPES > 1) {
    for (; stripe + SHARED_STRIPES <= end; stripe += SHARED_STRIPES) {
      float_stripes(c, kind, SHARED_STRIPES, stripe);
    }
  }
  for (; stripe < end; stripe++) float_stripes(c, kind, 1, stripe);
}

static void dense_matmul_run(const dense_matmul_command *c, int32_t phase, int32_t first, int32_t last) {
  const int32_t cols = c->weights_cols, type = c->weights_type, stripes = (c->weights_rows + 15) / 16;
  if (phase == 0) {
    for (int32_t task = first; task < last; task++) {
      if (type == DENSE_INT8) {
        const float *x = c->x + (size_t)task * cols;
        split_row(x, cols, (int8_t *)c->scratch + task * split_stride(cols));
      } else {
        interleave_tokens(c, task * DENSE_TOKENS);
      }
    }
    return;
  }
  const int32_t each = task_stripes(c), stripe = first * each;
  const int32_t end = last * each < stripes ? last * each : stripes;
  if (type == DENSE_F32) {
    float_task(c, FLOATS, stripe, end);
  } else if (type == DENSE_F16 && c->whole_input) {
    float_task(c, WHOLE, stripe, end);
  } else if (type == DENSE_F16) {
    float_task(c, HALVES, stripe, end);
  } else {
    int8_task(c, stripe, end);
  }
}
