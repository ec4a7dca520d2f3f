// The int8 product with 16-bit dot products: a quarter of 16 rows by four columns is one register.
//
// Seen as 16-bit lanes, a row's word holds columns 0 and 2 in the low bytes of its two halves and columns
// 1 and 3 above them, so shifts give two operands of a row each. Activations are spread to match.
#include "../../../native/wasm-simd.h"
#include "dense-matmul.h"

#define DENSE_TOKENS 3
#define ALONE_STRIPES 2
#define SHARED_STRIPES 1
#define INT8_TOKENS 1

INLINE v128_t even_bytes(v128_t x) { return wasm_i16x8_shr(wasm_i16x8_shl(x, 8), 8); }

// A mask would do for the even columns of weights in one instruction instead of two, but needs the one
// register that is left.
INLINE void int8_sums(const int32_t tokens, const uint8_t *w, int32_t groups, const int8_t *planes,
                      size_t stride, size_t lo_offset, i32x16 *H, i32x16 *L) {
  for (int32_t t = 0; t < tokens; t++) {
    union {
      v128_t quarter[4];
      i32x16 whole;
    } h, l;
    h.whole = l.whole = (i32x16){0};
    const uint8_t *from = w;
    const int8_t *acts = planes + t * stride;
    ROLLED for (int32_t group = 0; group < groups; group++, from += 64, acts += 4) {
      AS_VALUE(from);
      const v128_t hi = WORD(acts), lo = WORD(acts + lo_offset);
      const v128_t even_hi = even_bytes(hi), odd_hi = wasm_i16x8_shr(hi, 8);
      const v128_t even_lo = even_bytes(lo), odd_lo = wasm_i16x8_shr(lo, 8);
      UNROLL for (int32_t s = 0; s < 4; s++) {
        const v128_t x = wasm_v128_load(from + s * 16);
        const v128_t even = wasm_u16x8_shr(wasm_i16x8_shl(x, 8), 8), odd = wasm_u16x8_shr(x, 8);
        h.quarter[s] = wasm_i32x4_add(h.quarter[s], wasm_i32x4_dot_i16x8(even, even_hi));
        l.quarter[s] = wasm_i32x4_add(l.quarter[s], wasm_i32x4_dot_i16x8(even, even_lo));
        h.quarter[s] = wasm_i32x4_add(h.quarter[s], wasm_i32x4_dot_i16x8(odd, odd_hi));
        l.quarter[s] = wasm_i32x4_add(l.quarter[s], wasm_i32x4_dot_i16x8(odd, odd_lo));
        IN_ORDER(h.quarter[s], l.quarter[s]);
      }
    }
    H[t] = h.whole;
    L[t] = l.whole;
  }
}
