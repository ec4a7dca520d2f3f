// The ternary product with 16-bit dot products: a quarter of a tile is one register.
//
// Seen as 16-bit lanes, a row's word holds columns j and j + 2 of a group of four in its two halves
// (j = 0, and after a shift by 8, j = 1), so a mask gives two neighbouring operands of a row at once
// and the dot product leaves one sum per row. The activations are spread to match.
#include "../../../native/wasm-simd.h"
#include "ternary-matmul.h"

// The four words of 16 activations as 16-bit pairs: columns 4p and 4p + 2, or 4p + 1 and 4p + 3.
INLINE v128_t even_columns(v128_t q) { return wasm_i16x8_shr(wasm_i16x8_shl(q, 8), 8); }
INLINE v128_t odd_columns(v128_t q) { return wasm_i16x8_shr(q, 8); }

#define SPREAD(v, p) wasm_i32x4_shuffle(v, v, p, p, p, p)

// One token: codes stay where the masks find them, worth 1, 4, 16 or 64 times themselves, and the
// activations are made worth 64, 16, 4 or 1 times themselves, so that one sum serves all and counts
// everything 64 times. A product is then at most 64 * 2 * 128: int32 has room for 131,072 columns.
//
// Activations are widened for many stripes at once, a chunk of tiles at a time: for each tile its even
// columns, then its odd ones.
#define CHUNK 1024
#define WIDE 16

INLINE void widen(const int8_t *q, int32_t tiles, int16_t *wide) {
  const v128_t worth = wasm_i16x8_const(64, 64, 16, 16, 4, 4, 1, 1);
  for (int32_t tile = 0; tile < tiles; tile++, wide += WIDE) {
    const v128_t acts = wasm_v128_load(q + (size_t)tile * 16);
    wasm_v128_store(wide, wasm_i16x8_mul(even_columns(acts), worth));
    wasm_v128_store(wide + 8, wasm_i16x8_mul(odd_columns(acts), worth));
  }
}

typedef union {
  v128_t quarter[4];
  i32x16 whole;
} stripe_sums;

// The codes that the masks find in a tile's words, times four pairs of activations.
INLINE void add_codes(const v128_t *x, const v128_t *mask, const int16_t *pairs, v128_t *sum) {
  UNROLL for (int32_t p = 0; p < 4; p++) {
    const v128_t pair = WORD(pairs + 2 * p);
    UNROLL for (int32_t s = 0; s < 4; s++) {
      sum[s] = wasm_i32x4_add(sum[s], wasm_i32x4_dot_i16x8(wasm_v128_and(x[s], mask[p]), pair));
    }
    IN_ORDER_4(sum);
  }
}

INLINE void add_chunk(const uint8_t *w, const int16_t *wide, int32_t tiles, stripe_sums *total) {
  v128_t mask[4], sum[4];
  UNROLL for (int32_t p = 0; p < 4; p++) {
    mask[p] = wasm_i16x8_splat((int16_t)(3 << (2 * p)));
    AS_VALUE(mask[p]);
  }
  UNROLL for (int32_t s = 0; s < 4; s++) sum[s] = wasm_i32x4_splat(0);
  ROLLED for (int32_t tile = 0; tile < tiles; tile++, w += 64, wide += WIDE) {
    AS_VALUE(w);
    AS_VALUE(wide);
    v128_t x[4];
    UNROLL for (int32_t s = 0; s < 4; s++) x[s] = wasm_v128_load(w + s * 16);
    IN_ORDER_4(x);
    add_codes(x, mask, wide, sum);
    UNROLL for (int32_t s = 0; s < 4; s++) x[s] = wasm_u16x8_shr(x[s], 8);
    IN_ORDER_4(x);
    add_codes(x, mask, wide + 8, sum);
  }
  UNROLL for (int32_t s = 0; s < 4; s++) {
    total->quarter[s] = wasm_i32x4_add(total->quarter[s], wasm_i32x4_shr(sum[s], 6));
  }
}

static void stripes_of_one_token(const command *c, int32_t stripe, int32_t end) {
  const int32_t tiles = (c->i[2] + 15) / 16;
  int16_t wide[CHUNK * WIDE];
  int32_t widened = -1;
  for (; stripe < end; stripe++) {
    stripe_sums total = {.whole = {0}};
    for (int32_t start = 0; start < tiles; start += CHUNK) {
      const int32_t count = tiles - start < CHUNK ? tiles - start : CHUNK;
      // A matrix of one chunk, as most are, needs one widening.
      if (widened != start) widen((const int8_t *)c->p[0] + (size_t)start * 16, count, wide);
      widened = start;
      const uint8_t *w = (const uint8_t *)c->p[3] + ((size_t)stripe * tiles + start) * 64;
      add_chunk(w, wide, count, &total);
    }
    store_stripe(c, 0, stripe, total.whole);
  }
}

// `tokens` tokens (a constant to the compiler, at most 4) against one quarter of a stripe.
INLINE void quarter_of_tokens(const int32_t tokens, const uint8_t *w, const int8_t *q, int32_t tiles,
                              v128_t *sum) {
  const size_t q_stride = (size_t)tiles * 16;
  for (int32_t t = 0; t < tokens; t++) sum[t] = wasm_i32x4_splat(0);
  const v128_t mask = wasm_i16x8_splat(3);
  for (int32_t tile = 0; tile < tiles; tile++) {
    const v128_t x = wasm_v128_load(w + (size_t)tile * 64);
    v128_t code[8];
    for (int32_t i = 0; i < 8; i++) code[i] = wasm_v128_and(wasm_u16x8_shr(x, 2 * i), mask);
    for (int32_t t = 0; t < tokens; t++) {
      const v128_t acts = wasm_v128_load(q + t * q_stride + (size_t)tile * 16);
      const v128_t even = even_columns(acts), odd = odd_columns(acts);
      v128_t a = wasm_i32x4_dot_i16x8(code[0], SPREAD(even, 0));
      a = wasm_i32x4_add(a, wasm_i32x4_dot_i16x8(code[1], SPREAD(even, 1)));
      a = wasm_i32x4_add(a, wasm_i32x4_dot_i16x8(code[2], SPREAD(even, 2)));
      a = wasm_i32x4_add(a, wasm_i32x4_dot_i16x8(code[3], SPREAD(even, 3)));
      v128_t b = wasm_i32x4_dot_i16x8(code[4], SPREAD(odd, 0));
      b = wasm_i32x4_add(b, wasm_i32x4_dot_i16x8(code[5], SPREAD(odd, 1)));
      b = wasm_i32x4_add(b, wasm_i32x4_dot_i16x8(code[6], SPREAD(odd, 2)));
      b = wasm_i32x4_add(b, wasm_i32x4_dot_i16x8(code[7], SPREAD(odd, 3)));
      sum[t] = wasm_i32x4_add(sum[t], wasm_i32x4_add(a, b));
    }
  }
}

INLINE void block_of_tokens(const command *c, const int32_t tokens, int32_t token, int32_t stripe) {
  const int32_t tiles = (c->i[2] + 15) / 16;
  const uint8_t *w = (const uint8_t *)c->p[3] + (size_t)stripe * tiles * 64;
  const int8_t *q = (const int8_t *)c->p[0] + (size_t)token * tiles * 16;
  stripe_sums sums[4];
  for (int32_t quarter = 0; quarter < 4; quarter++) {
    v128_t sum[4];
    quarter_of_tokens(tokens, w + quarter * 16, q, tiles, sum);
    for (int32_t t = 0; t < tokens; t++) sums[t].quarter[quarter] = sum[t];
  }
  for (int32_t t = 0; t < tokens; t++) store_stripe(c, token + t, stripe, sums[t].whole);
}

static void ternary_matmul_run(const command *c, int32_t phase, int32_t first, int32_t last) {
  (void)phase;
  const int32_t tokens = c->i[0], stripes = (c->i[1] + 15) / 16;
  int32_t stripe = first * TASK_STRIPES;
  const int32_t end = last * TASK_STRIPES < stripes ? last * TASK_STRIPES : stripes;
  if (tokens == 1) {
    stripes_of_one_token(c, stripe, end);
    return;
  }
  for (; stripe < end; stripe++) {
    int32_t token = 0;
    for (; token + 4 <= tokens; token += 4) block_of_tokens(c, 4, token, stripe);
    for (; token < tokens; token++) block_of_tokens(c, 1, token, stripe);
  }
}
