// The ternary product with vpdpbusd: a tile is one register, four codes against one broadcast word.
#include <immintrin.h>

#include "ternary-matmul.h"

INLINE __m512i word_of(const int8_t *q) { return _mm512_set1_epi32(*(const int32_t *)q); }

// One token: the shifts are left out of the loop. Codes stay where the masks find them, worth 1, 4,
// 16 or 64 times themselves, in four sums that are scaled back at the end. The largest code is then
// 128, and 128 * 128 * cols / 4 stays below 2^31 for up to half a million columns.
INLINE __m512i stripe_one_token(const uint8_t *w, const int8_t *q, int32_t tiles) {
  const __m512i m0 = _mm512_set1_epi8(0x03), m1 = _mm512_set1_epi8(0x0c);
  const __m512i m2 = _mm512_set1_epi8(0x30), m3 = _mm512_set1_epi8((char)0xc0);
  __m512i a0 = _mm512_setzero_si512(), a1 = a0, a2 = a0, a3 = a0;
  for (int32_t tile = 0; tile < tiles; tile++, w += 64, q += 16) {
    const __m512i x = _mm512_loadu_si512(w);
    a0 = _mm512_dpbusd_epi32(a0, _mm512_and_si512(x, m0), word_of(q));
    a1 = _mm512_dpbusd_epi32(a1, _mm512_and_si512(x, m1), word_of(q + 4));
    a2 = _mm512_dpbusd_epi32(a2, _mm512_and_si512(x, m2), word_of(q + 8));
    a3 = _mm512_dpbusd_epi32(a3, _mm512_and_si512(x, m3), word_of(q + 12));
  }
  a0 = _mm512_add_epi32(a0, _mm512_srai_epi32(a1, 2));
  a2 = _mm512_add_epi32(_mm512_srai_epi32(a2, 4), _mm512_srai_epi32(a3, 6));
  return _mm512_add_epi32(a0, a2);
}

// Several tokens: a tile is unpacked once for all of them. `tokens` and `stripes` are constants to the
// compiler, so that the sums stay in registers: at most 16 of them and 8 registers of codes.
INLINE void block_of_tokens(const command *c, const int32_t tokens, const int32_t stripes,
                            int32_t token, int32_t stripe) {
  const int32_t tiles = (c->i[2] + 15) / 16;
  const size_t stripe_bytes = (size_t)tiles * 64, q_stride = (size_t)tiles * 16;
  const uint8_t *w = (const uint8_t *)c->p[3] + stripe * stripe_bytes;
  const int8_t *q = (const int8_t *)c->p[0] + token * q_stride;
  const __m512i mask = _mm512_set1_epi8(3);
  __m512i sum[2][8];
  for (int32_t s = 0; s < stripes; s++) {
    for (int32_t t = 0; t < tokens; t++) sum[s][t] = _mm512_setzero_si512();
  }
  for (int32_t tile = 0; tile < tiles; tile++) {
    __m512i code[2][4];
    for (int32_t s = 0; s < stripes; s++) {
      const __m512i x = _mm512_loadu_si512(w + s * stripe_bytes + (size_t)tile * 64);
      code[s][0] = _mm512_and_si512(x, mask);
      code[s][1] = _mm512_and_si512(_mm512_srli_epi32(x, 2), mask);
      code[s][2] = _mm512_and_si512(_mm512_srli_epi32(x, 4), mask);
      code[s][3] = _mm512_and_si512(_mm512_srli_epi32(x, 6), mask);
    }
    for (int32_t p = 0; p < 4; p++) {
      for (int32_t t = 0; t < tokens; t++) {
        const __m512i word = word_of(q + t * q_stride + (size_t)tile * 16 + 4 * p);
        for (int32_t s = 0; s < stripes; s++) {
          sum[s][t] = _mm512_dpbusd_epi32(sum[s][t], code[s][p], word);
        }
      }
    }
  }
  for (int32_t s = 0; s < stripes; s++) {
    for (int32_t t = 0; t < tokens; t++) {
      store_stripe(c, token + t, stripe + s, (i32x16)sum[s][t]);
    }
  }
}

static void ternary_matmul_run(const command *c, int32_t phase, int32_t first, int32_t last) {
  (void)phase;
  const int32_t tokens = c->i[0], stripes = (c->i[1] + 15) / 16, tiles = (c->i[2] + 15) / 16;
  if (tokens == 1) {
    const int32_t end = last * TASK_STRIPES < stripes ? last * TASK_STRIPES : stripes;
    for (int32_t stripe = first * TASK_STRIPES; stripe < end; stripe++) {
      const uint8_t *w = (const uint8_t *)c->p[3] + (size_t)stripe * tiles * 64;
      store_stripe(c, 0, stripe, (i32x16)stripe_one_token(w, c->p[0], tiles));
    }
    return;
  }
  for (int32_t task = first; task < last; task++) {
    const int32_t stripe = task * TASK_STRIPES;
    int32_t token = 0;
    if (stripe + 1 < stripes) {
      for (; token + 8 <= tokens; token += 8) block_of_tokens(c, 8, 2, token, stripe);
      for (; token + 4 <= tokens; token += 4) block_of_tokens(c, 4, 2, token, stripe);
      for (; token + 2 <= tokens; token += 2) block_of_tokens(c, 2, 2, token, stripe);
      for (; token < tokens; token++) block_of_tokens(c, 1, 2, token, stripe);
    } else {
      for (; token + 4 <= tokens; token += 4) block_of_tokens(c, 4, 1, token, stripe);
      for (; token < tokens; token++) block_of_tokens(c, 1, 1, token, stripe);
    }
  }
}
