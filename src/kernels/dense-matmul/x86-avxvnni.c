// The int8 product with vpdpbusd on 256-bit registers: half a group of four columns of 16 rows each.
#include "../c/avx-vnni.h"

#include "dense-matmul.h"

// Six sums of two registers each, of sixteen.
#define DENSE_TOKENS 6
#define SHARED_STRIPES 1
// Four sums each: with more tokens they would not stay in sixteen registers.
#define INT8_TOKENS 3

INLINE void int8_sums(const int32_t tokens, const uint8_t *w, int32_t groups, const int8_t *planes,
                      size_t stride, size_t lo_offset, i32x16 *H, i32x16 *L) {
  half_tiles h[INT8_TOKENS], l[INT8_TOKENS];
  for (int32_t t = 0; t < tokens; t++) {
    for (int32_t half = 0; half < 2; half++) {
      h[t].half[half] = l[t].half[half] = _mm256_setzero_si256();
    }
  }
  for (int32_t group = 0; group < groups; group++) {
    // Of the next stripe: see ternary-matmul/x86-avx512vnni.c.
    if (tokens > 1) __builtin_prefetch(w + (size_t)(groups + group) * 64, 0, 2);
    for (int32_t t = 0; t < tokens; t++) {
      const int8_t *hi = planes + t * stride + (size_t)group * 4;
      for (int32_t half = 0; half < 2; half++) {
        const __m256i x = load_half(w + (size_t)group * 64, half);
        h[t].half[half] = dot_bytes(h[t].half[half], x, word_of(hi));
        l[t].half[half] = dot_bytes(l[t].half[half], x, word_of(hi + lo_offset));
      }
    }
  }
  for (int32_t t = 0; t < tokens; t++) {
    H[t] = h[t].whole;
    L[t] = l[t].whole;
  }
}
