// The nibble sums with 16-bit products: a product is at most 15 * 128 = 1,920, so that the four that a
// tile adds to a lane fit into int16, and so do those of four tiles.
#include <wasm_simd128.h>

#include "../dense-matmul/dense-matmul.h"

#define HEAD_TOKENS 1
// Tiles whose products are added up as int16: 4 * 4 * 1,920 = 30,720.
#define NIBBLE_RUN 4

// Neighbouring pairs of two registers added up: rows 0 and 1 from a, rows 2 and 3 from b.
INLINE v128_t add_nibble_pairs(v128_t a, v128_t b) {
  return wasm_i32x4_add(wasm_i32x4_shuffle(a, b, 0, 2, 4, 6), wasm_i32x4_shuffle(a, b, 1, 3, 5, 7));
}

INLINE void nibble_sums(const int32_t tokens, const uint8_t *w, int32_t tiles, const int8_t *planes,
                        size_t stride, i32x16 *S) {
  const v128_t mask = wasm_i8x16_splat(0x0f);
  for (int32_t t = 0; t < tokens; t++) {
    union {
      v128_t part[4];
      i32x16 whole;
    } sums;
    for (int32_t part = 0; part < 4; part++) {
      v128_t low = wasm_i32x4_splat(0), high = low;
      for (int32_t tile = 0; tile < tiles; tile += NIBBLE_RUN) {
        const int32_t n = tiles - tile < NIBBLE_RUN ? tiles - tile : NIBBLE_RUN;
        v128_t run_low = wasm_i16x8_splat(0), run_high = run_low;
        for (int32_t i = 0; i < n; i++) {
          const int8_t *hi = planes + t * stride + (size_t)(tile + i) * 8;
          const v128_t x = wasm_v128_load(w + (size_t)(tile + i) * 64 + part * 16);
          const v128_t x0 = wasm_v128_and(x, mask), x1 = wasm_u8x16_shr(x, 4);
          const v128_t a = wasm_v128_load32_splat(hi), b = wasm_v128_load32_splat(hi + 4);
          run_low = wasm_i16x8_add(run_low, wasm_i16x8_extmul_low_i8x16(x0, a));
          run_low = wasm_i16x8_add(run_low, wasm_i16x8_extmul_low_i8x16(x1, b));
          run_high = wasm_i16x8_add(run_high, wasm_i16x8_extmul_high_i8x16(x0, a));
          run_high = wasm_i16x8_add(run_high, wasm_i16x8_extmul_high_i8x16(x1, b));
        }
        low = wasm_i32x4_add(low, wasm_i32x4_extadd_pairwise_i16x8(run_low));
        high = wasm_i32x4_add(high, wasm_i32x4_extadd_pairwise_i16x8(run_high));
      }
      sums.part[part] = add_nibble_pairs(low, high);
    }
    S[t] = sums.whole;
  }
}
