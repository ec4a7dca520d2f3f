// The int8 product with vpdpbusd: a group of four columns of 16 rows is one register.
#include <immintrin.h>

#include "dense-matmul.h"

// 24 sums of one register each.
#define DENSE_TOKENS 8
#define SHARED_STRIPES 3
// The same for int8, which keeps two sums each.
#define INT8_TOKENS 8
// Stripes that one token takes at once: a single pair of sums waits for its own last addition, and a
// single stream of weights for memory.
#define INT8_STRIPES 4

INLINE void int8_sums(const int32_t tokens, const uint8_t *w, int32_t groups, const int8_t *planes,
                      size_t stride, size_t lo_offset, i32x16 *H, i32x16 *L) {
  // Two tokens have four sums to add to in turn, as many as the instruction takes cycles; one takes two
  // groups at a time.
  const int32_t side = tokens == 1 ? 2 : 1;
  __m512i h[INT8_TOKENS][2], l[INT8_TOKENS][2];
  for (int32_t t = 0; t < tokens; t++) {
    for (int32_t s = 0; s < 2; s++) h[t][s] = l[t][s] = _mm512_setzero_si512();
  }
  for (int32_t group = 0; group < groups; group += side) {
    // Of the next stripe: see ternary-matmul/x86-avx512vnni.c.
    if (tokens > 1) __builtin_prefetch(w + (size_t)(groups + group) * 64, 0, 2);
    for (int32_t s = 0; s < side && group + s < groups; s++) {
      const __m512i x = _mm512_loadu_si512(w + (size_t)(group + s) * 64);
      for (int32_t t = 0; t < tokens; t++) {
        const int8_t *hi = planes + t * stride + (size_t)(group + s) * 4, *lo = hi + lo_offset;
        h[t][s] = _mm512_dpbusd_epi32(h[t][s], x, _mm512_set1_epi32(*(const int32_t *)hi));
        l[t][s] = _mm512_dpbusd_epi32(l[t][s], x, _mm512_set1_epi32(*(const int32_t *)lo));
      }
    }
  }
  for (int32_t t = 0; t < tokens; t++) {
    H[t] = (i32x16)_mm512_add_epi32(h[t][0], h[t][1]);
    L[t] = (i32x16)_mm512_add_epi32(l[t][0], l[t][1]);
  }
}

// One token by INT8_STRIPES stripes of `stripe_bytes` each.
INLINE void int8_sums_alone(const uint8_t *w, size_t stripe_bytes, int32_t groups, const int8_t *hi,
                            size_t lo_offset, i32x16 *H, i32x16 *L) {
  __m512i h[INT8_STRIPES], l[INT8_STRIPES];
  for (int32_t s = 0; s < INT8_STRIPES; s++) h[s] = l[s] = _mm512_setzero_si512();
  for (int32_t group = 0; group < groups; group++) {
    const __m512i a = _mm512_set1_epi32(*(const int32_t *)(hi + (size_t)group * 4));
    const __m512i b = _mm512_set1_epi32(*(const int32_t *)(hi + lo_offset + (size_t)group * 4));
    for (int32_t s = 0; s < INT8_STRIPES; s++) {
      const __m512i x = _mm512_loadu_si512(w + s * stripe_bytes + (size_t)group * 64);
      h[s] = _mm512_dpbusd_epi32(h[s], x, a);
      l[s] = _mm512_dpbusd_epi32(l[s], x, b);
    }
  }
  for (int32_t s = 0; s < INT8_STRIPES; s++) {
    H[s] = (i32x16)h[s];
    L[s] = (i32x16)l[s];
  }
}
