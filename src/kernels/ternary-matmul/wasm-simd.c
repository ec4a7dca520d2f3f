// The ternary product with 16-bit dot products: a quarter of a tile is one register.
//
// Seen as 16-bit lanes, a row's word holds columns j and j + 2 of a group of four in its two halves
// (j = 0, and after a shift by 8, j = 1), so a mask gives two neighbouring operands of a row at once
// and the dot product leaves one sum per row. The activations are spread to match.
#define TILE_WORDS 8
#include "wasm-token-blocks.h"

// The four words of 16 activations as 16-bit pairs: columns 4p and 4p + 2, or 4p + 1 and 4p + 3.
INLINE v128_t even_columns(v128_t q) { return wasm_i16x8_shr(wasm_i16x8_shl(q, 8), 8); }
INLINE v128_t odd_columns(v128_t q) { return wasm_i16x8_shr(q, 8); }

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

INLINE void stripes_of_one_token(const ternary_matmul_command *c, const int32_t form, int32_t token, int32_t stripe,
                                 int32_t end) {
  (void)form;
  const int32_t tiles = (c->weights_cols + 15) / 16;
  const int8_t *q = c->x_q + (size_t)token * tiles * 16;
  int16_t wide[CHUNK * WIDE];
  int32_t widened = -1;
  for (; stripe < end; stripe++) {
    stripe_sums total = {.whole = {0}};
    for (int32_t start = 0; start < tiles; start += CHUNK) {
      const int32_t count = tiles - start < CHUNK ? tiles - start : CHUNK;
      // A matrix of one chunk, as most are, needs one widening.
      if (widened != start) widen(q + (size_t)start * 16, count, wide);
      widened = start;
      const uint8_t *w = c->weights_data + ((size_t)stripe * tiles + start) * 64;
      add_chunk(w, wide, count, &total);
    }
    store_stripe(c, token, stripe, total.whole);
  }
}

// Several tokens: codes are taken down to the lowest bits, which costs little where four tokens share them.
#define SPREAD(v, p) wasm_i32x4_shuffle(v, v, p, p, p, p)

INLINE void spread_tile(const int8_t *q, v128_t *to) {
  const v128_t acts = wasm_v128_load(q), even = even_columns(acts), odd = odd_columns(acts);
  to[0 * BLOCK_TOKENS] = SPREAD(even, 0);
  to[1 * BLOCK_TOKENS] = SPREAD(even, 1);
  to[2 * BLOCK_TOKENS] = SPREAD(even, 2);
  to[3 * BLOCK_TOKENS] = SPREAD(even, 3);
  to[4 * BLOCK_TOKENS] = SPREAD(odd, 0);
  to[5 * BLOCK_TOKENS] = SPREAD(odd, 1);
  to[6 * BLOCK_TOKENS] = SPREAD(odd, 2);
  to[7 * BLOCK_TOKENS] = SPREAD(odd, 3);
}

// Codes of a tile that one round of the inner loop takes. With all eight, older engines (V8 11), which put
// the loads of a round before everything else, run out of registers.
#define CODES_A_ROUND 2

INLINE void add_half(const int32_t form, const uint8_t *w, const v128_t *words, int32_t tiles,
                     v128_t (*sums)[4]) {
  (void)form;
  v128_t sum[BLOCK_TOKENS][2], mask = wasm_i16x8_splat(3);
  AS_VALUE(mask);
  UNROLL for (int32_t t = 0; t < BLOCK_TOKENS; t++) {
    sum[t][0] = sums[t][0];
    sum[t][1] = sums[t][1];
  }
  ROLLED for (int32_t tile = 0; tile < tiles; tile++, w += 64) {
    v128_t x = wasm_v128_load(w), y = wasm_v128_load(w + 16);
    ROLLED for (int32_t p = 0; p < TILE_WORDS; p += CODES_A_ROUND) {
      UNROLL for (int32_t i = 0; i < CODES_A_ROUND; i++, words += BLOCK_TOKENS) {
        AS_VALUE(words);
        v128_t cx = wasm_v128_and(x, mask), cy = wasm_v128_and(y, mask);
        UNROLL for (int32_t t = 0; t < BLOCK_TOKENS; t++) {
          sum[t][0] = wasm_i32x4_add(sum[t][0], wasm_i32x4_dot_i16x8(cx, words[t]));
          sum[t][1] = wasm_i32x4_add(sum[t][1], wasm_i32x4_dot_i16x8(cy, words[t]));
          ALL_IN_ORDER(sum[t][0], sum[t][1], cx, cy);
        }
        x = wasm_u16x8_shr(x, 2);
        y = wasm_u16x8_shr(y, 2);
        ALL_IN_ORDER(x, y, cx, cy);
      }
    }
  }
  UNROLL for (int32_t t = 0; t < BLOCK_TOKENS; t++) {
    sums[t][0] = sum[t][0];
    sums[t][1] = sum[t][1];
  }
}

static void ternary_matmul_2bit(const ternary_matmul_command *c, int32_t phase, int32_t first, int32_t last) {
  (void)phase;
  const int32_t stripes = (c->count + 15) / 16, stripe = first * TASK_STRIPES;
  const int32_t end = last * TASK_STRIPES < stripes ? last * TASK_STRIPES : stripes;
  stripes_of_tokens(c, 0, stripe, end);
}
