// The ternary product with the relaxed dot product: a quarter of a tile is one register.
//
// relaxed_dot adds four products of a signed byte and a byte below 128; with codes of at most 3 no
// engine's freedom in the instruction (sign or saturation) can show.
#include <wasm_simd128.h>

#include "ternary-matmul.h"

#define WORD(p) wasm_v128_load32_splat(p)

// `tokens` and `quarters` are constants to the compiler: quarters of a stripe (4 rows each) that are
// worked on together, so that an activation word is loaded once for all of them.
INLINE void quarters_of_stripe(const command *c, const int32_t tokens, const int32_t quarters,
                               int32_t token, const uint8_t *w, int32_t quarter, v128_t *sums) {
  const int32_t tiles = (c->i[2] + 15) / 16;
  const size_t q_stride = (size_t)tiles * 16;
  const int8_t *q = (const int8_t *)c->p[0] + token * q_stride;
  const v128_t mask = wasm_i8x16_splat(3);
  v128_t sum[4][4];
  for (int32_t s = 0; s < quarters; s++) {
    for (int32_t t = 0; t < tokens; t++) sum[s][t] = wasm_i32x4_splat(0);
  }
  for (int32_t tile = 0; tile < tiles; tile++) {
    v128_t x[4];
    for (int32_t s = 0; s < quarters; s++) {
      x[s] = wasm_v128_load(w + (size_t)tile * 64 + (quarter + s) * 16);
    }
    for (int32_t p = 0; p < 4; p++) {
      v128_t code[4];
      for (int32_t s = 0; s < quarters; s++) {
        code[s] = wasm_v128_and(p == 0 ? x[s] : wasm_u32x4_shr(x[s], 2 * p), mask);
      }
      for (int32_t t = 0; t < tokens; t++) {
        const v128_t word = WORD(q + t * q_stride + (size_t)tile * 16 + 4 * p);
        for (int32_t s = 0; s < quarters; s++) {
          sum[s][t] = wasm_i32x4_relaxed_dot_i8x16_i7x16_add(word, code[s], sum[s][t]);
        }
      }
    }
  }
  for (int32_t t = 0; t < tokens; t++) {
    for (int32_t s = 0; s < quarters; s++) sums[t * 4 + quarter + s] = sum[s][t];
  }
}

INLINE void block_of_tokens(const command *c, const int32_t tokens, int32_t token, int32_t stripe) {
  const int32_t tiles = (c->i[2] + 15) / 16;
  const uint8_t *w = (const uint8_t *)c->p[3] + (size_t)stripe * tiles * 64;
  union {
    v128_t quarter[16];
    i32x16 whole[4];
  } sums;
  if (tokens == 1) {
    quarters_of_stripe(c, 1, 4, token, w, 0, sums.quarter);
  } else {
    for (int32_t quarter = 0; quarter < 4; quarter += 2) {
      quarters_of_stripe(c, tokens, 2, token, w, quarter, sums.quarter);
    }
  }
  for (int32_t t = 0; t < tokens; t++) store_stripe(c, token + t, stripe, sums.whole[t]);
}

static void ternary_matmul_run(const command *c, int32_t phase, int32_t first, int32_t last) {
  (void)phase;
  const int32_t tokens = c->i[0], stripes = (c->i[1] + 15) / 16;
  const int32_t end = last * TASK_STRIPES < stripes ? last * TASK_STRIPES : stripes;
  for (int32_t stripe = first * TASK_STRIPES; stripe < end; stripe++) {
    int32_t token = 0;
    for (; token + 4 <= tokens; token += 4) block_of_tokens(c, 4, token, stripe);
    for (; token < tokens; token++) block_of_tokens(c, 1, token, stripe);
  }
}
