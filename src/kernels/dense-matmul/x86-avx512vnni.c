// The int8 product with vpdpbusd: a group of four columns of 16 rows is one register.
#include <immintrin.h>

#include "dense-matmul.h"

// Tokens that share one pass over float weights: 16 sums of one register each, with two stripes.
#define DENSE_TOKENS 8
// The same for int8, which keeps two sums each.
#define INT8_TOKENS 4

INLINE void int8_sums(const int32_t tokens, const uint8_t *w, int32_t groups, const int8_t *planes,
                      size_t stride, size_t lo_offset, i32x16 *H, i32x16 *L) {
  __m512i h[INT8_TOKENS], l[INT8_TOKENS];
  for (int32_t t = 0; t < tokens; t++) h[t] = l[t] = _mm512_setzero_si512();
  for (int32_t group = 0; group < groups; group++) {
    const __m512i x = _mm512_loadu_si512(w + (size_t)group * 64);
    for (int32_t t = 0; t < tokens; t++) {
      const int8_t *hi = planes + t * stride + (size_t)group * 4;
      h[t] = _mm512_dpbusd_epi32(h[t], x, _mm512_set1_epi32(*(const int32_t *)hi));
      l[t] = _mm512_dpbusd_epi32(l[t], x, _mm512_set1_epi32(*(const int32_t *)(hi + lo_offset)));
    }
  }
  for (int32_t t = 0; t < tokens; t++) {
    H[t] = (i32x16)h[t];
    L[t] = (i32x16)l[t];
  }
}
