// The nibble sums with vpdpbusd: a tile is one register, two groups of four columns of 16 rows.
#include <immintrin.h>

#include "../dense-matmul/dense-matmul.h"

// Tokens that share one pass over the weights; two sums each.
#define HEAD_TOKENS 8

// The shift is left out of the loop: high nibbles stay where they are, worth 16 times themselves, in a
// sum of their own. 240 * 128 * cols / 2 stays below 2^31 for twice the columns that are allowed.
INLINE void nibble_sums(const int32_t tokens, const uint8_t *w, int32_t tiles, const int8_t *planes,
                        size_t stride, i32x16 *S) {
  const __m512i first = _mm512_set1_epi8(0x0f), second = _mm512_set1_epi8((char)0xf0);
  __m512i a[HEAD_TOKENS], b[HEAD_TOKENS];
  for (int32_t t = 0; t < tokens; t++) a[t] = b[t] = _mm512_setzero_si512();
  for (int32_t tile = 0; tile < tiles; tile++) {
    // Of the next stripe: see ternary-matmul/x86-avx512vnni.c.
    if (tokens > 1) __builtin_prefetch(w + (size_t)(tiles + tile) * 64, 0, 2);
    else ask_ahead_of_one_token(w + (size_t)tile * 64);
    const __m512i x = _mm512_loadu_si512(w + (size_t)tile * 64);
    const __m512i x0 = _mm512_and_si512(x, first), x1 = _mm512_and_si512(x, second);
    for (int32_t t = 0; t < tokens; t++) {
      const int32_t *hi = (const int32_t *)(planes + t * stride + (size_t)tile * 8);
      a[t] = _mm512_dpbusd_epi32(a[t], x0, _mm512_set1_epi32(hi[0]));
      b[t] = _mm512_dpbusd_epi32(b[t], x1, _mm512_set1_epi32(hi[1]));
    }
  }
  for (int32_t t = 0; t < tokens; t++) {
    S[t] = (i32x16)_mm512_add_epi32(a[t], _mm512_srai_epi32(b[t], 4));
  }
}
