// The int8 product with vpmaddwd: bytes are widened first, because pairs of 255 * 127 would saturate
// the int16 that vpmaddubsw keeps.
#include <immintrin.h>

#include "dense-matmul.h"

#define DENSE_TOKENS 2
#define INT8_TOKENS 1

// Neighbouring pairs of two registers added up: rows 0..3 from a, rows 4..7 from b.
INLINE __m256i add_pairs(__m256i a, __m256i b) {
  return _mm256_permute4x64_epi64(_mm256_hadd_epi32(a, b), 0xd8);
}

INLINE void int8_sums(const int32_t tokens, const uint8_t *w, int32_t groups, const int8_t *planes,
                      size_t stride, size_t lo_offset, i32x16 *H, i32x16 *L) {
  for (int32_t t = 0; t < tokens; t++) {
    __m256i h[4], l[4];
    for (int32_t part = 0; part < 4; part++) h[part] = l[part] = _mm256_setzero_si256();
    for (int32_t group = 0; group < groups; group++) {
      const int8_t *hi = planes + t * stride + (size_t)group * 4;
      const __m256i a = _mm256_cvtepi8_epi16(_mm_set1_epi32(*(const int32_t *)hi));
      const __m256i b = _mm256_cvtepi8_epi16(_mm_set1_epi32(*(const int32_t *)(hi + lo_offset)));
      for (int32_t part = 0; part < 4; part++) {
        const __m128i *from = (const __m128i *)(w + (size_t)group * 64 + part * 16);
        const __m256i x = _mm256_cvtepu8_epi16(_mm_loadu_si128(from));
        h[part] = _mm256_add_epi32(h[part], _mm256_madd_epi16(x, a));
        l[part] = _mm256_add_epi32(l[part], _mm256_madd_epi16(x, b));
      }
    }
    union {
      __m256i half[2];
      i32x16 whole;
    } sums;
    sums.half[0] = add_pairs(h[0], h[1]);
    sums.half[1] = add_pairs(h[2], h[3]);
    H[t] = sums.whole;
    sums.half[0] = add_pairs(l[0], l[1]);
    sums.half[1] = add_pairs(l[2], l[3]);
    L[t] = sums.whole;
  }
}
