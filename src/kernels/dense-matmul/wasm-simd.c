// The int8 product with 16-bit dot products: a quarter of 16 rows by four columns is one register.
//
// Seen as 16-bit lanes, a row's word holds columns 0 and 2 in the low bytes of its two halves and columns
// 1 and 3 above them, so shifts give two operands of a row each. Activations of 16 bits are put together
// to match.
#include "../c/wasm-simd.h"
#include "dense-matmul.h"

#define DENSE_TOKENS 3
#define ALONE_STRIPES 2
#define SHARED_STRIPES 1
#define INT8_TOKENS 1

// Groups in a sum of int32, which gets four products of a group: 4 * 64 * 255 * 32512 is below 2^31.
#define SUM_GROUPS 64

INLINE v128_t even_bytes(v128_t x) { return wasm_i16x8_shr(wasm_i16x8_shl(x, 8), 8); }
INLINE v128_t upper_bytes(v128_t x) { return wasm_i16x8_shl(wasm_u16x8_shr(x, 8), 8); }

// A mask would do for the even columns of weights in one instruction instead of two, but would have to
// stay in a register.
INLINE void int8_sums(const int32_t tokens, const uint8_t *w, int32_t groups, const int8_t *planes,
                      size_t stride, size_t lo_offset, i32x16 *H, i32x16 *L) {
  for (int32_t t = 0; t < tokens; t++) {
    i32x16 h = {0}, l = {0};
    const uint8_t *from = w;
    const int8_t *acts = planes + t * stride;
    for (int32_t start = 0; start < groups; start += SUM_GROUPS) {
      const int32_t n = groups - start < SUM_GROUPS ? groups - start : SUM_GROUPS;
      union {
        v128_t quarter[4];
        i32x16 whole;
      } sum = {.whole = {0}};
      ROLLED for (int32_t group = 0; group < n; group++, from += 64, acts += 4) {
        AS_VALUE(from);
        const v128_t hi = WORD(acts), lo = WORD(acts + lo_offset);
        const v128_t evens = wasm_i16x8_add(wasm_i16x8_shl(hi, 8), even_bytes(lo));
        const v128_t odds = wasm_i16x8_add(upper_bytes(hi), wasm_i16x8_shr(lo, 8));
        UNROLL for (int32_t s = 0; s < 4; s++) {
          const v128_t x = wasm_v128_load(from + s * 16);
          const v128_t even = wasm_u16x8_shr(wasm_i16x8_shl(x, 8), 8), odd = wasm_u16x8_shr(x, 8);
          const v128_t first = wasm_i32x4_dot_i16x8(even, evens);
          sum.quarter[s] = wasm_i32x4_add(sum.quarter[s], first);
          sum.quarter[s] = wasm_i32x4_add(sum.quarter[s], wasm_i32x4_dot_i16x8(odd, odds));
          AS_VALUE(sum.quarter[s]);
        }
      }
      h += sum.whole >> 8;
      l += sum.whole & 255;
    }
    H[t] = h;
    L[t] = l;
  }
}
