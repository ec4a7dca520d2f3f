// The nibble sums with vpdpbusd on 256-bit registers: half a tile each.
#include "../c/avx-vnni.h"

#include "../dense-matmul/dense-matmul.h"

// Tokens that share one pass over the weights; two sums each.
#define HEAD_TOKENS 4

INLINE void nibble_sums(const int32_t tokens, const uint8_t *w, int32_t tiles, const int8_t *planes,
                        size_t stride, i32x16 *S) {
  const __m256i mask = _mm256_set1_epi8(0x0f);
  half_tiles sum[HEAD_TOKENS];
  for (int32_t t = 0; t < tokens; t++) sum[t].half[0] = sum[t].half[1] = _mm256_setzero_si256();
  for (int32_t tile = 0; tile < tiles; tile++) {
    // Of the next stripe: see ternary-matmul/x86-avx512vnni.c.
    if (tokens > 1) __builtin_prefetch(w + (size_t)(tiles + tile) * 64, 0, 2);
    for (int32_t half = 0; half < 2; half++) {
      const __m256i x = load_half(w + (size_t)tile * 64, half);
      const __m256i x0 = _mm256_and_si256(x, mask);
      const __m256i x1 = _mm256_and_si256(_mm256_srli_epi16(x, 4), mask);
      for (int32_t t = 0; t < tokens; t++) {
        const int8_t *hi = planes + t * stride + (size_t)tile * 8;
        const __m256i first = dot_bytes(sum[t].half[half], x0, word_of(hi));
        sum[t].half[half] = dot_bytes(first, x1, word_of(hi + 4));
      }
    }
  }
  for (int32_t t = 0; t < tokens; t++) S[t] = sum[t].whole;
}
