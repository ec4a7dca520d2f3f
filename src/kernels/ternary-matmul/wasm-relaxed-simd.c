// The ternary product with the relaxed dot products: a quarter of a tile is one register.
//
// relaxed_dot multiplies signed bytes by bytes below 128. Codes are at most 2, and at most 8 where they
// stay two bits up, so that no engine's freedom in the instruction (sign or saturation) can show.
//
// There are two forms. The one that adds four products to an int32 is a single instruction on ARM and
// on x86 with AVX-VNNI; elsewhere on x86 it takes five, and the one that leaves pairs in an int16 takes
// one. Which machine this is shows in a product outside of the bounds: see has_wide_dot.
#include "../../../native/wasm-simd.h"
#include "ternary-matmul.h"

// Tokens that share one pass over the weights.
#define TOKEN_BLOCK 8

// How far int16 sums go. A pair is at most 2 * 2 * 128 = 512, and 2,048 where the code is two bits up.
// A tile adds four pairs of the first kind, or two of each kind to a sum of their own.
#define TILES_IN_INT16 15
#define RAISED_TILES_IN_INT16 7

// Four products of 127 and 255: where pairs saturate at 32,767 the engine lacks the single instruction.
// Only speed hangs on the answer.
INLINE int32_t has_wide_dot(void) {
  const v128_t sum = wasm_i32x4_relaxed_dot_i8x16_i7x16_add(
      wasm_i8x16_splat(127), wasm_i8x16_splat(-1), wasm_i32x4_splat(0));
  return wasm_i32x4_extract_lane(sum, 0) != 2 * 32767;
}

INLINE v128_t pairs(v128_t word, v128_t code) {
  return wasm_i16x8_relaxed_dot_i8x16_i7x16(word, code);
}
INLINE v128_t add_wide(v128_t sum, v128_t pair_sums) {
  return wasm_i32x4_add(sum, wasm_i32x4_extadd_pairwise_i16x8(pair_sums));
}

// One token against two quarters of a few tiles: what it needs just fits in the registers that the
// engine has on x86. One shift serves two groups of columns: the odd ones stay two bits up, worth four
// times themselves, in sums of their own.
INLINE void half_of_token(const int32_t wide, const uint8_t *w, const int8_t *q, int32_t tiles,
                          v128_t *even, v128_t *odd) {
  v128_t low = wasm_i8x16_splat(0x03), raised = wasm_i8x16_splat(0x0c);
  AS_VALUE(low);
  AS_VALUE(raised);
  const v128_t zero = wasm_i32x4_splat(0);
  v128_t a[2] = {zero, zero}, b[2] = {zero, zero};
  ROLLED for (int32_t tile = 0; tile < tiles; tile++, w += 64, q += 16) {
    AS_VALUE(w);
    AS_VALUE(q);
    const v128_t q0 = WORD(q), q1 = WORD(q + 4), q2 = WORD(q + 8), q3 = WORD(q + 12);
    UNROLL for (int32_t s = 0; s < 2; s++) {
      const v128_t x = wasm_v128_load(w + s * 16), y = wasm_u16x8_shr(x, 4);
      const v128_t c0 = wasm_v128_and(x, low), c1 = wasm_v128_and(x, raised);
      const v128_t c2 = wasm_v128_and(y, low), c3 = wasm_v128_and(y, raised);
      if (wide) {
        even[s] = wasm_i32x4_relaxed_dot_i8x16_i7x16_add(q0, c0, even[s]);
        odd[s] = wasm_i32x4_relaxed_dot_i8x16_i7x16_add(q1, c1, odd[s]);
        even[s] = wasm_i32x4_relaxed_dot_i8x16_i7x16_add(q2, c2, even[s]);
        odd[s] = wasm_i32x4_relaxed_dot_i8x16_i7x16_add(q3, c3, odd[s]);
      } else {
        a[s] = wasm_i16x8_add(a[s], wasm_i16x8_add(pairs(q0, c0), pairs(q2, c2)));
        b[s] = wasm_i16x8_add(b[s], wasm_i16x8_add(pairs(q1, c1), pairs(q3, c3)));
      }
    }
  }
  UNROLL for (int32_t s = 0; s < 2 && !wide; s++) {
    even[s] = add_wide(even[s], a[s]);
    odd[s] = add_wide(odd[s], b[s]);
  }
}

// One token against a stripe. The halves take turns every few tiles, so that memory is read evenly.
INLINE void stripe_of_token(const int32_t wide, const uint8_t *w, const int8_t *q, int32_t tiles,
                            v128_t *out) {
  const v128_t zero = wasm_i32x4_splat(0);
  v128_t even[4] = {zero, zero, zero, zero}, odd[4] = {zero, zero, zero, zero};
  for (int32_t start = 0; start < tiles; start += RAISED_TILES_IN_INT16) {
    const int32_t left = tiles - start;
    const int32_t count = left < RAISED_TILES_IN_INT16 ? left : RAISED_TILES_IN_INT16;
    const uint8_t *from = w + (size_t)start * 64;
    const int8_t *words = q + (size_t)start * 16;
    half_of_token(wide, from, words, count, even, odd);
    half_of_token(wide, from + 32, words, count, even + 2, odd + 2);
  }
  UNROLL for (int32_t s = 0; s < 4; s++) {
    out[s] = wasm_i32x4_add(even[s], wasm_i32x4_shr(odd[s], 2));
  }
}

// `tokens` tokens (a constant to the compiler) against one quarter of a stripe.
INLINE void quarter_of_tokens(const int32_t wide, const int32_t tokens, const uint8_t *w,
                              const int8_t *q, int32_t tiles, v128_t *sum) {
  const size_t q_stride = (size_t)tiles * 16;
  const v128_t mask = wasm_i8x16_splat(3), zero = wasm_i32x4_splat(0);
  UNROLL for (int32_t t = 0; t < tokens; t++) sum[t] = zero;
  for (int32_t start = 0; start < tiles; start += TILES_IN_INT16) {
    const int32_t end = tiles - start < TILES_IN_INT16 ? tiles : start + TILES_IN_INT16;
    v128_t part[TOKEN_BLOCK];
    UNROLL for (int32_t t = 0; t < tokens; t++) part[t] = wide ? sum[t] : zero;
    ROLLED for (int32_t tile = start; tile < end; tile++) {
      const v128_t x = wasm_v128_load(w + (size_t)tile * 64);
      const v128_t c0 = wasm_v128_and(x, mask);
      const v128_t c1 = wasm_v128_and(wasm_u16x8_shr(x, 2), mask);
      const v128_t c2 = wasm_v128_and(wasm_u16x8_shr(x, 4), mask);
      const v128_t c3 = wasm_v128_and(wasm_u16x8_shr(x, 6), mask);
      UNROLL for (int32_t t = 0; t < tokens; t++) {
        const int8_t *words = q + t * q_stride + (size_t)tile * 16;
        AS_VALUE(words);
        const v128_t q0 = WORD(words), q1 = WORD(words + 4);
        const v128_t q2 = WORD(words + 8), q3 = WORD(words + 12);
        if (wide) {
          part[t] = wasm_i32x4_relaxed_dot_i8x16_i7x16_add(q0, c0, part[t]);
          part[t] = wasm_i32x4_relaxed_dot_i8x16_i7x16_add(q1, c1, part[t]);
          part[t] = wasm_i32x4_relaxed_dot_i8x16_i7x16_add(q2, c2, part[t]);
          part[t] = wasm_i32x4_relaxed_dot_i8x16_i7x16_add(q3, c3, part[t]);
        } else {
          const v128_t front = wasm_i16x8_add(pairs(q0, c0), pairs(q1, c1));
          const v128_t back = wasm_i16x8_add(pairs(q2, c2), pairs(q3, c3));
          part[t] = wasm_i16x8_add(part[t], wasm_i16x8_add(front, back));
        }
      }
    }
    UNROLL for (int32_t t = 0; t < tokens; t++) sum[t] = wide ? part[t] : add_wide(sum[t], part[t]);
  }
}

typedef union {
  v128_t quarter[4];
  i32x16 whole;
} stripe_sums;

INLINE void block_of_tokens(const command *c, const int32_t wide, const int32_t tokens,
                            int32_t token, int32_t stripe) {
  const int32_t tiles = (c->i[2] + 15) / 16;
  const uint8_t *w = (const uint8_t *)c->p[3] + (size_t)stripe * tiles * 64;
  const int8_t *q = (const int8_t *)c->p[0] + (size_t)token * tiles * 16;
  stripe_sums sums[TOKEN_BLOCK];
  if (tokens == 1) {
    stripe_of_token(wide, w, q, tiles, sums[0].quarter);
  } else {
    for (int32_t quarter = 0; quarter < 4; quarter++) {
      v128_t sum[TOKEN_BLOCK];
      quarter_of_tokens(wide, tokens, w + quarter * 16, q, tiles, sum);
      for (int32_t t = 0; t < tokens; t++) sums[t].quarter[quarter] = sum[t];
    }
  }
  for (int32_t t = 0; t < tokens; t++) store_stripe(c, token + t, stripe, sums[t].whole);
}

INLINE void stripes_of_tokens(const command *c, const int32_t wide, int32_t stripe, int32_t end) {
  const int32_t tokens = c->i[0];
  for (; stripe < end; stripe++) {
    int32_t token = 0;
    for (; token + TOKEN_BLOCK <= tokens; token += TOKEN_BLOCK) {
      block_of_tokens(c, wide, TOKEN_BLOCK, token, stripe);
    }
    if (token + 4 <= tokens) {
      block_of_tokens(c, wide, 4, token, stripe);
      token += 4;
    }
    for (; token < tokens; token++) block_of_tokens(c, wide, 1, token, stripe);
  }
}

static void ternary_matmul_run(const command *c, int32_t phase, int32_t first, int32_t last) {
  (void)phase;
  const int32_t stripes = (c->i[1] + 15) / 16, stripe = first * TASK_STRIPES;
  const int32_t end = last * TASK_STRIPES < stripes ? last * TASK_STRIPES : stripes;
  if (has_wide_dot()) {
    stripes_of_tokens(c, 1, stripe, end);
  } else {
    stripes_of_tokens(c, 0, stripe, end);
  }
}
