// The nibble sums with 16-bit dot products: a quarter of a tile is one register.
//
// Seen as 16-bit lanes, a row's word holds columns 0 and 2 in the low nibbles of its two halves, columns
// 4 and 6 above them and, after a shift by 8, the odd ones. Masks give two operands of a row at once,
// and the dot product leaves one sum per row. Nibbles stay where they are, so activations of the low
// ones are made worth 16 times themselves and the sum counts everything 16 times.
#include <wasm_simd128.h>

#include "../dense-matmul/dense-matmul.h"

#define HEAD_TOKENS 1

INLINE void nibble_sums(const int32_t tokens, const uint8_t *w, int32_t tiles, const int8_t *planes,
                        size_t stride, i32x16 *S) {
  const v128_t worth = wasm_i16x8_const(16, 16, 1, 1, 0, 0, 0, 0);
  const v128_t first = wasm_i16x8_splat(0x0f), second = wasm_i16x8_splat(0xf0);
  for (int32_t t = 0; t < tokens; t++) {
    union {
      v128_t quarter[4];
      i32x16 whole;
    } sum;
    for (int32_t s = 0; s < 4; s++) sum.quarter[s] = wasm_i32x4_splat(0);
    for (int32_t tile = 0; tile < tiles; tile++) {
      const v128_t acts = wasm_v128_load64_zero(planes + t * stride + (size_t)tile * 8);
      const v128_t even = wasm_i16x8_mul(wasm_i16x8_shr(wasm_i16x8_shl(acts, 8), 8), worth);
      const v128_t odd = wasm_i16x8_mul(wasm_i16x8_shr(acts, 8), worth);
      const v128_t even0 = wasm_i32x4_shuffle(even, even, 0, 0, 0, 0);
      const v128_t even1 = wasm_i32x4_shuffle(even, even, 1, 1, 1, 1);
      const v128_t odd0 = wasm_i32x4_shuffle(odd, odd, 0, 0, 0, 0);
      const v128_t odd1 = wasm_i32x4_shuffle(odd, odd, 1, 1, 1, 1);
      for (int32_t s = 0; s < 4; s++) {
        const v128_t x = wasm_v128_load(w + (size_t)tile * 64 + s * 16), y = wasm_u16x8_shr(x, 8);
        const v128_t a = wasm_i32x4_dot_i16x8(wasm_v128_and(x, first), even0);
        const v128_t b = wasm_i32x4_dot_i16x8(wasm_v128_and(x, second), even1);
        const v128_t c = wasm_i32x4_dot_i16x8(wasm_v128_and(y, first), odd0);
        const v128_t d = wasm_i32x4_dot_i16x8(wasm_v128_and(y, second), odd1);
        const v128_t products = wasm_i32x4_add(wasm_i32x4_add(a, b), wasm_i32x4_add(c, d));
        sum.quarter[s] = wasm_i32x4_add(sum.quarter[s], products);
      }
    }
    for (int32_t s = 0; s < 4; s++) sum.quarter[s] = wasm_i32x4_shr(sum.quarter[s], 4);
    S[t] = sum.whole;
  }
}
