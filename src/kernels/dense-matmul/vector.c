// The dense product around the int8 sums: float weights and the output.
// A row's float sum runs over the columns in order, in its own lane.
#include "dense-matmul.h"

// A task is four stripes: 64 rows of the output.
#define DENSE_STRIPES 4

// Stripes that one token, or DENSE_TOKENS of them, take at once; a variant with few registers says less.
#ifndef ALONE_STRIPES
#define ALONE_STRIPES 4
#define SHARED_STRIPES 2
#endif

// What a variant's int8_sums multiplies is w + STORED_BIAS; what is stored, unless it says otherwise.
#ifndef STORED_BIAS
#define STORED_BIAS 128
#endif

static work_plan dense_matmul_plan(const command *c, int32_t phase, int32_t threads) {
  if (phase == 0) {
    if (c->i[3] != 2) return (work_plan){0, 1};
    return c->i[0] < 4 ? one_piece(c->i[0]) : split_evenly(c->i[0], threads);
  }
  const int32_t stripes = (c->i[1] + 15) / 16;
  return split_evenly((stripes + DENSE_STRIPES - 1) / DENSE_STRIPES, threads);
}

INLINE void store_dense(const command *c, int32_t token, int32_t stripe, f32x16 y) {
  const int32_t rows = c->i[1], row = stripe * 16, n = rows - row;
  float *out = (float *)c->p[3] + (size_t)token * rows + row;
  if (c->i[4]) y = load_first(out, n) + y;
  store_first(out, y, n);
}

// The sums of one stripe by one token as float32.
INLINE f32x16 int8_result(i32x16 H, i32x16 L, const split_token *split, f32x16 row_scales) {
  const f32x16 high = __builtin_convertvector(H - STORED_BIAS * split->hi_sum, f32x16);
  const f32x16 low = __builtin_convertvector(L - STORED_BIAS * split->lo_sum, f32x16);
  return (high * 256.0f + low) * (row_scales * split->scale);
}

INLINE void int8_block(const command *c, const int32_t tokens, int32_t token, int32_t stripe) {
  const int32_t cols = c->i[2], groups = (cols + 3) / 4;
  const size_t stride = split_stride(cols), plane = plane_bytes(cols);
  const uint8_t *w = (const uint8_t *)c->p[1] + (size_t)stripe * groups * 64;
  const int8_t *planes = (const int8_t *)c->p[4] + token * stride;
  i32x16 H[INT8_TOKENS], L[INT8_TOKENS];
  int8_sums(tokens, w, groups, planes, stride, plane, H, L);
  for (int32_t t = 0; t < tokens; t++) {
    const split_token *split = (const split_token *)(planes + t * stride + 2 * plane);
    const f32x16 row_scales = load16((const float *)c->p[2] + stripe * 16);
    store_dense(c, token + t, stripe, int8_result(H[t], L[t], split, row_scales));
  }
}

#ifdef INT8_STRIPES
// One token by INT8_STRIPES stripes.
INLINE void int8_alone(const command *c, int32_t stripe) {
  const int32_t cols = c->i[2], groups = (cols + 3) / 4;
  const size_t plane = plane_bytes(cols), stripe_bytes = (size_t)groups * 64;
  const uint8_t *w = (const uint8_t *)c->p[1] + stripe * stripe_bytes;
  const int8_t *planes = (const int8_t *)c->p[4];
  const split_token *split = (const split_token *)(planes + 2 * plane);
  i32x16 H[INT8_STRIPES], L[INT8_STRIPES];
  int8_sums_alone(w, stripe_bytes, groups, planes, plane, H, L);
  for (int32_t s = 0; s < INT8_STRIPES; s++) {
    const f32x16 row_scales = load16((const float *)c->p[2] + (stripe + s) * 16);
    store_dense(c, 0, stripe + s, int8_result(H[s], L[s], split, row_scales));
  }
}
#endif

INLINE void int8_task(const command *c, int32_t stripe, int32_t end) {
#ifdef INT8_STRIPES
  if (c->i[0] == 1) {
    for (; stripe + INT8_STRIPES <= end; stripe += INT8_STRIPES) int8_alone(c, stripe);
  }
#endif
  for (; stripe < end; stripe++) {
#define PRODUCT(n, token) int8_block(c, n, token, stripe)
    EACH_TOKEN_BLOCK(INT8_TOKENS, c->i[0], PRODUCT);
#undef PRODUCT
  }
}

// How weights are read: floats, halves, or halves that are taken for finite.
enum { FLOATS, HALVES, FINITE_HALVES };

// `kind` and both counts are constants to the compiler, so that the sums stay in registers. Returns 0,
// and stores nothing, if halves were taken for finite and are not.
INLINE int32_t block_of_kind(const command *c, const int32_t kind, const int32_t tokens,
                             const int32_t stripes, int32_t token, int32_t stripe) {
  const int32_t cols = c->i[2];
  const size_t stripe_floats = (size_t)cols * 16;
  const float *x = (const float *)c->p[0] + (size_t)token * cols;
  const float *w32 = (const float *)c->p[1] + stripe * stripe_floats;
  const uint16_t *w16 = (const uint16_t *)c->p[1] + stripe * stripe_floats;
  f32x16 sum[DENSE_STRIPES][DENSE_TOKENS];
  u16x16 seen = {0};
  for (int32_t s = 0; s < stripes; s++) {
    for (int32_t t = 0; t < tokens; t++) sum[s][t] = all16(0.0f);
  }
  for (int32_t col = 0; col < cols; col++) {
    for (int32_t s = 0; s < stripes; s++) {
      const size_t at = s * stripe_floats + (size_t)col * 16;
      f32x16 w;
      if (kind == FLOATS) {
        w = load16(w32 + at);
      } else if (kind == HALVES) {
        w = load_f16(w16 + at);
      } else {
        w = load_finite_f16(w16 + at, &seen);
      }
      for (int32_t t = 0; t < tokens; t++) {
        sum[s][t] = sum[s][t] + w * x[(size_t)t * cols + col];
      }
    }
  }
  if (kind == FINITE_HALVES && !all_finite(seen)) return 0;
  for (int32_t s = 0; s < stripes; s++) {
    for (int32_t t = 0; t < tokens; t++) store_dense(c, token + t, stripe + s, sum[s][t]);
  }
  return 1;
}

INLINE void float_block(const command *c, const int32_t half, const int32_t tokens,
                        const int32_t stripes, int32_t token, int32_t stripe) {
  if (!half) {
    block_of_kind(c, FLOATS, tokens, stripes, token, stripe);
  } else if (!block_of_kind(c, FINITE_HALVES, tokens, stripes, token, stripe)) {
    for (int32_t i = 0; i < tokens * stripes; i++) {
      block_of_kind(c, HALVES, 1, 1, token + i % tokens, stripe + i / tokens);
    }
  }
}

INLINE void float_task(const command *c, const int32_t half, int32_t stripe, int32_t end) {
  const int32_t tokens = c->i[0];
  int32_t token = 0;
  for (; token + DENSE_TOKENS <= tokens; token += DENSE_TOKENS) {
    int32_t s = stripe;
    for (; s + SHARED_STRIPES <= end; s += SHARED_STRIPES) {
      float_block(c, half, DENSE_TOKENS, SHARED_STRIPES, token, s);
    }
    for (; s < end; s++) float_block(c, half, DENSE_TOKENS, 1, token, s);
  }
  for (; token < tokens; token++) {
    int32_t s = stripe;
    for (; s + ALONE_STRIPES <= end; s += ALONE_STRIPES) {
      float_block(c, half, 1, ALONE_STRIPES, token, s);
    }
    for (; s < end; s++) float_block(c, half, 1, 1, token, s);
  }
}

static void dense_matmul_run(const command *c, int32_t phase, int32_t first, int32_t last) {
  const int32_t cols = c->i[2], type = c->i[3], stripes = (c->i[1] + 15) / 16;
  if (phase == 0) {
    for (int32_t token = first; token < last; token++) {
      const float *x = (const float *)c->p[0] + (size_t)token * cols;
      split_row(x, cols, (int8_t *)c->p[4] + token * split_stride(cols));
    }
    return;
  }
  for (int32_t task = first; task < last; task++) {
    const int32_t stripe = task * DENSE_STRIPES;
    const int32_t end = stripe + DENSE_STRIPES < stripes ? stripe + DENSE_STRIPES : stripes;
    if (type == 0) {
      float_task(c, 0, stripe, end);
    } else if (type == 1) {
      float_task(c, 1, stripe, end);
    } else {
      int8_task(c, stripe, end);
    }
  }
}
