// The nibble sums with the relaxed dot product, whose result is the same on every machine here: the
// second operand is a nibble, and a pair of products is at most 2 * 15 * 128.
#include <wasm_simd128.h>

#include "../dense-matmul/dense-matmul.h"

#define HEAD_TOKENS 1

INLINE void nibble_sums(const int32_t tokens, const uint8_t *w, int32_t tiles, const int8_t *planes,
                        size_t stride, i32x16 *S) {
  const v128_t mask = wasm_i8x16_splat(0x0f);
  for (int32_t t = 0; t < tokens; t++) {
    union {
      v128_t part[4];
      i32x16 whole;
    } sums;
    for (int32_t part = 0; part < 4; part++) sums.part[part] = wasm_i32x4_splat(0);
    for (int32_t tile = 0; tile < tiles; tile++) {
      const int8_t *hi = planes + t * stride + (size_t)tile * 8;
      const v128_t a = wasm_v128_load32_splat(hi), b = wasm_v128_load32_splat(hi + 4);
      for (int32_t part = 0; part < 4; part++) {
        const v128_t x = wasm_v128_load(w + (size_t)tile * 64 + part * 16);
        const v128_t x0 = wasm_v128_and(x, mask), x1 = wasm_u8x16_shr(x, 4);
        sums.part[part] = wasm_i32x4_relaxed_dot_i8x16_i7x16_add(a, x0, sums.part[part]);
        sums.part[part] = wasm_i32x4_relaxed_dot_i8x16_i7x16_add(b, x1, sums.part[part]);
      }
    }
    S[t] = sums.whole;
  }
}
