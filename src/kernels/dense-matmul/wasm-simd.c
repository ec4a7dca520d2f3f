// The int8 product with 16-bit dot products: bytes are widened, two rows of four columns a register.
#include <wasm_simd128.h>

#include "dense-matmul.h"

#define DENSE_TOKENS 3
#define ALONE_STRIPES 2
#define SHARED_STRIPES 1
#define INT8_TOKENS 1

// Neighbouring pairs of two registers added up: rows 0 and 1 from a, rows 2 and 3 from b.
INLINE v128_t add_pairs(v128_t a, v128_t b) {
  return wasm_i32x4_add(wasm_i32x4_shuffle(a, b, 0, 2, 4, 6), wasm_i32x4_shuffle(a, b, 1, 3, 5, 7));
}

// All 16 rows in one pass: it spills registers, and is still faster than reading a stripe, which is
// larger than the nearest cache, twice.
INLINE void int8_sums(const int32_t tokens, const uint8_t *w, int32_t groups, const int8_t *planes,
                      size_t stride, size_t lo_offset, i32x16 *H, i32x16 *L) {
  for (int32_t t = 0; t < tokens; t++) {
    v128_t h[8], l[8];
    for (int32_t i = 0; i < 8; i++) h[i] = l[i] = wasm_i32x4_splat(0);
    for (int32_t group = 0; group < groups; group++) {
      const int8_t *hi = planes + t * stride + (size_t)group * 4;
      const v128_t a = wasm_i16x8_extend_low_i8x16(wasm_v128_load32_splat(hi));
      const v128_t b = wasm_i16x8_extend_low_i8x16(wasm_v128_load32_splat(hi + lo_offset));
      for (int32_t i = 0; i < 8; i++) {
        const v128_t x = wasm_u16x8_load8x8(w + (size_t)group * 64 + i * 8);
        h[i] = wasm_i32x4_add(h[i], wasm_i32x4_dot_i16x8(x, a));
        l[i] = wasm_i32x4_add(l[i], wasm_i32x4_dot_i16x8(x, b));
      }
    }
    union {
      v128_t quarter[4];
      i32x16 whole;
    } hs, ls;
    for (int32_t i = 0; i < 4; i++) {
      hs.quarter[i] = add_pairs(h[2 * i], h[2 * i + 1]);
      ls.quarter[i] = add_pairs(l[2 * i], l[2 * i + 1]);
    }
    H[t] = hs.whole;
    L[t] = ls.whole;
  }
}
