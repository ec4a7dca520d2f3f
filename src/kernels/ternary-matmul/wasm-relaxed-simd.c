// The ternary product with the relaxed dot products: a quarter of a tile is one register.
//
// relaxed_dot multiplies signed bytes by bytes below 128. Codes are at most 2, and at most 8 where they
// stay two bits up, so that no engine's freedom in the instruction (sign or saturation) can show.
//
// There are two forms. The one that adds four products to an int32 is a single instruction on ARM and
// on x86 with AVX-VNNI; elsewhere on x86 it takes five, and the one that leaves pairs in an int16 takes
// one. Which machine this is shows in a product outside of the bounds: see has_wide_dot.
#define TILE_WORDS 4
#include "wasm-token-blocks.h"

// How far int16 sums go. A pair is at most 2 * 2 * 128 = 512, and 2,048 where the code is two bits up.
// A tile adds four pairs of the first kind, or two of each kind to a sum of their own.
_Static_assert(CHUNK_TILES * 4 * 512 < 32768, "sums of a chunk fit 16 bits");
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

INLINE void stripes_of_one_token(const ternary_matmul_command *c, const int32_t wide, int32_t token, int32_t stripe,
                                 int32_t end) {
  const int32_t tiles = (c->weights_cols + 15) / 16;
  const int8_t *q = c->x_q + (size_t)token * tiles * 16;
  for (; stripe < end; stripe++) {
    stripe_sums sums;
    const uint8_t *w = c->weights_data + (size_t)stripe * tiles * 64;
    stripe_of_token(wide, w, q, tiles, sums.quarter);
    store_stripe(c, token, stripe, sums.whole);
  }
}

INLINE void spread_tile(const int8_t *q, v128_t *to) {
  UNROLL for (int32_t p = 0; p < TILE_WORDS; p++) to[p * BLOCK_TOKENS] = WORD(q + 4 * p);
}

// A code times its activations, added up in the form that this machine is quicker with.
INLINE v128_t add_dot(const int32_t wide, v128_t sum, v128_t word, v128_t code) {
  return wide ? wasm_i32x4_relaxed_dot_i8x16_i7x16_add(word, code, sum)
              : wasm_i16x8_add(sum, pairs(word, code));
}

INLINE void add_half(const int32_t wide, const uint8_t *w, const v128_t *words, int32_t tiles,
                     v128_t (*sums)[4]) {
  v128_t sum[BLOCK_TOKENS][2], mask = wasm_i8x16_splat(3);
  AS_VALUE(mask);
  UNROLL for (int32_t t = 0; t < BLOCK_TOKENS; t++) sum[t][0] = sum[t][1] = wasm_i32x4_splat(0);
  ROLLED for (int32_t tile = 0; tile < tiles; tile++, w += 64, words += TILE_WORDS * BLOCK_TOKENS) {
    AS_VALUE(w);
    AS_VALUE(words);
    v128_t x = wasm_v128_load(w), y = wasm_v128_load(w + 16);
    UNROLL for (int32_t p = 0; p < TILE_WORDS; p++) {
      v128_t cx = wasm_v128_and(x, mask), cy = wasm_v128_and(y, mask);
      UNROLL for (int32_t t = 0; t < BLOCK_TOKENS; t++) {
        sum[t][0] = add_dot(wide, sum[t][0], words[p * BLOCK_TOKENS + t], cx);
        sum[t][1] = add_dot(wide, sum[t][1], words[p * BLOCK_TOKENS + t], cy);
        ALL_IN_ORDER(sum[t][0], sum[t][1], cx, cy);
      }
      x = wasm_u16x8_shr(x, 2);
      y = wasm_u16x8_shr(y, 2);
      ALL_IN_ORDER(x, y, cx, cy);
    }
  }
  UNROLL for (int32_t t = 0; t < BLOCK_TOKENS; t++) {
    UNROLL for (int32_t s = 0; s < 2; s++) {
      sums[t][s] = wide ? wasm_i32x4_add(sums[t][s], sum[t][s]) : add_wide(sums[t][s], sum[t][s]);
    }
  }
}

static void ternary_matmul_2bit(const ternary_matmul_command *c, int32_t phase, int32_t first, int32_t last) {
  (void)phase;
  const int32_t stripes = (c->count + 15) / 16, stripe = first * TASK_STRIPES;
  const int32_t end = last * TASK_STRIPES < stripes ? last * TASK_STRIPES : stripes;
  if (has_wide_dot()) {
    stripes_of_tokens(c, 1, stripe, end);
  } else {
    stripes_of_tokens(c, 0, stripe, end);
  }
}
