// The nibble sums with vpmaddubsw, which cannot saturate here: a pair is at most 2 * 15 * 128 = 3,840,
// and both halves of a tile together 7,680.
#include <immintrin.h>

#include "../dense-matmul/dense-matmul.h"

#define HEAD_TOKENS 2

INLINE void nibble_sums(const int32_t tokens, const uint8_t *w, int32_t tiles, const int8_t *planes,
                        size_t stride, i32x16 *S) {
  const __m256i mask = _mm256_set1_epi8(0x0f), ones = _mm256_set1_epi16(1);
  union {
    __m256i half[2];
    i32x16 whole;
  } sum[HEAD_TOKENS];
  for (int32_t t = 0; t < tokens; t++) sum[t].half[0] = sum[t].half[1] = _mm256_setzero_si256();
  for (int32_t tile = 0; tile < tiles; tile++) {
    for (int32_t half = 0; half < 2; half++) {
      const __m256i x = _mm256_loadu_si256((const __m256i *)(w + (size_t)tile * 64 + half * 32));
      const __m256i x0 = _mm256_and_si256(x, mask);
      const __m256i x1 = _mm256_and_si256(_mm256_srli_epi16(x, 4), mask);
      for (int32_t t = 0; t < tokens; t++) {
        const int32_t *hi = (const int32_t *)(planes + t * stride + (size_t)tile * 8);
        const __m256i pairs = _mm256_add_epi16(_mm256_maddubs_epi16(x0, _mm256_set1_epi32(hi[0])),
                                               _mm256_maddubs_epi16(x1, _mm256_set1_epi32(hi[1])));
        sum[t].half[half] =
            _mm256_add_epi32(sum[t].half[half], _mm256_madd_epi16(pairs, ones));
      }
    }
  }
  for (int32_t t = 0; t < tokens; t++) S[t] = sum[t].whole;
}
