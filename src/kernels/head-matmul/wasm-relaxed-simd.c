// The nibble sums with the relaxed dot product of bytes, whose result is the same on every machine here:
// the second operand is a nibble, and a pair of products is at most 2 * 15 * 128 = 3,840. Sums stay in
// 16 bits for four tiles, 8 * 3,840 = 30,720 at most, since widening costs as much as multiplying.
#include <wasm_simd128.h>

#include "../dense-matmul/dense-matmul.h"

#define HEAD_TOKENS 1
#define NIBBLE_RUN 4

// A row's two pairs of one tile, in two 16-bit lanes.
INLINE v128_t pairs_of(v128_t x, v128_t first, v128_t second) {
  const v128_t x0 = wasm_v128_and(x, wasm_i8x16_splat(0x0f)), x1 = wasm_u8x16_shr(x, 4);
  return wasm_i16x8_add(wasm_i16x8_relaxed_dot_i8x16_i7x16(first, x0),
                        wasm_i16x8_relaxed_dot_i8x16_i7x16(second, x1));
}

INLINE void nibble_sums(const int32_t tokens, const uint8_t *w, int32_t tiles, const int8_t *planes,
                        size_t stride, i32x16 *S) {
  for (int32_t t = 0; t < tokens; t++) {
    union {
      v128_t quarter[4];
      i32x16 whole;
    } sum;
    for (int32_t s = 0; s < 4; s++) sum.quarter[s] = wasm_i32x4_splat(0);
    for (int32_t tile = 0; tile < tiles; tile += NIBBLE_RUN) {
      const int32_t n = tiles - tile < NIBBLE_RUN ? tiles - tile : NIBBLE_RUN;
      v128_t run[4];
      for (int32_t s = 0; s < 4; s++) run[s] = wasm_i16x8_splat(0);
      for (int32_t i = 0; i < n; i++) {
        const int8_t *hi = planes + t * stride + (size_t)(tile + i) * 8;
        const uint8_t *from = w + (size_t)(tile + i) * 64;
        const v128_t a = wasm_v128_load32_splat(hi), b = wasm_v128_load32_splat(hi + 4);
        for (int32_t s = 0; s < 4; s++) {
          run[s] = wasm_i16x8_add(run[s], pairs_of(wasm_v128_load(from + s * 16), a, b));
        }
      }
      for (int32_t s = 0; s < 4; s++) {
        const v128_t wide = wasm_i32x4_extadd_pairwise_i16x8(run[s]);
        sum.quarter[s] = wasm_i32x4_add(sum.quarter[s], wide);
      }
    }
    S[t] = sum.whole;
  }
}
