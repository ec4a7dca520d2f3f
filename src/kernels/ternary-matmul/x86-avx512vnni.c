// The ternary product with vpdpbusd: a tile is one register, four codes against one broadcast word.
#include <immintrin.h>

#include "ternary-matmul.h"

INLINE __m512i word_of(const int8_t *q) { return _mm512_set1_epi32(*(const int32_t *)q); }

// One token: the shifts are left out of the loop. Codes stay where the masks find them, worth 1, 4,
// 16 or 64 times themselves, in four sums that are scaled back at the end. The largest code is then
// 128, and 128 * 128 * cols / 4 stays below 2^31 for up to half a million columns.
#define HAS_ONE_TOKEN_PARTS

typedef struct {
  __m512i by1, by4, by16, by64;
} one_token_sums;

INLINE void add_one_token(one_token_sums *s, const uint8_t *w, const int8_t *q, int32_t tiles) {
  const __m512i m0 = _mm512_set1_epi8(0x03), m1 = _mm512_set1_epi8(0x0c);
  const __m512i m2 = _mm512_set1_epi8(0x30), m3 = _mm512_set1_epi8((char)0xc0);
  for (int32_t tile = 0; tile < tiles; tile++, w += 64, q += 16) {
    ask_ahead_of_one_token(w);
    const __m512i x = _mm512_loadu_si512(w);
    s->by1 = _mm512_dpbusd_epi32(s->by1, _mm512_and_si512(x, m0), word_of(q));
    s->by4 = _mm512_dpbusd_epi32(s->by4, _mm512_and_si512(x, m1), word_of(q + 4));
    s->by16 = _mm512_dpbusd_epi32(s->by16, _mm512_and_si512(x, m2), word_of(q + 8));
    s->by64 = _mm512_dpbusd_epi32(s->by64, _mm512_and_si512(x, m3), word_of(q + 12));
  }
}

INLINE i32x16 one_token_total(const one_token_sums *s) {
  const __m512i few = _mm512_add_epi32(s->by1, _mm512_srai_epi32(s->by4, 2));
  const __m512i many = _mm512_add_epi32(_mm512_srai_epi32(s->by16, 4), _mm512_srai_epi32(s->by64, 6));
  return (i32x16)_mm512_add_epi32(few, many);
}

// Several tokens: a tile is unpacked once for all of them. `tokens` is a constant to the compiler, at
// most 8, so that the sums stay in registers. Few tokens have several sums each, or the latency of the
// product would show. So much arithmetic keeps the processor from looking ahead to the next line of
// weights itself: the next stripe is asked for while this one is multiplied.
INLINE void block_of_tokens(const ternary_matmul_command *c, const int32_t tokens, int32_t token, int32_t stripe) {
  const int32_t tiles = (c->weights_cols + 15) / 16, chains = tokens > 4 ? 1 : 4;
  const size_t stripe_bytes = (size_t)tiles * 64, q_stride = (size_t)tiles * 16;
  const uint8_t *w = c->weights_data + stripe * stripe_bytes;
  const int8_t *q = c->x_q + token * q_stride;
  const __m512i mask = _mm512_set1_epi8(3);
  __m512i sum[8][4];
  for (int32_t t = 0; t < tokens; t++) {
    for (int32_t p = 0; p < chains; p++) sum[t][p] = _mm512_setzero_si512();
  }
  for (int32_t tile = 0; tile < tiles; tile++, w += 64, q += 16) {
    __builtin_prefetch(w + stripe_bytes, 0, 2);
    const __m512i x = _mm512_loadu_si512(w);
    const __m512i code[4] = {
        _mm512_and_si512(x, mask),
        _mm512_and_si512(_mm512_srli_epi32(x, 2), mask),
        _mm512_and_si512(_mm512_srli_epi32(x, 4), mask),
        _mm512_and_si512(_mm512_srli_epi32(x, 6), mask),
    };
    for (int32_t p = 0; p < 4; p++) {
      for (int32_t t = 0; t < tokens; t++) {
        const __m512i word = word_of(q + t * q_stride + 4 * p);
        sum[t][p % chains] = _mm512_dpbusd_epi32(sum[t][p % chains], code[p], word);
      }
    }
  }
  for (int32_t t = 0; t < tokens; t++) {
    __m512i total = sum[t][0];
    for (int32_t p = 1; p < chains; p++) total = _mm512_add_epi32(total, sum[t][p]);
    store_stripe(c, token + t, stripe, (i32x16)total);
  }
}

static void ternary_matmul_2bit(const ternary_matmul_command *c, int32_t phase, int32_t first, int32_t last) {
  (void)phase;
  const int32_t tokens = c->rows, stripes = (c->count + 15) / 16, tiles = (c->weights_cols + 15) / 16;
  const int32_t end = last * TASK_STRIPES < stripes ? last * TASK_STRIPES : stripes;
  for (int32_t stripe = first * TASK_STRIPES; stripe < end; stripe++) {
    if (tokens == 1) {
      const uint8_t *w = c->weights_data + (size_t)stripe * tiles * 64;
      one_token_sums sums = {{0}, {0}, {0}, {0}};
      add_one_token(&sums, w, c->x_q, tiles);
      store_stripe(c, 0, stripe, one_token_total(&sums));
      continue;
    }
#define PRODUCT(n, token) block_of_tokens(c, n, token, stripe)
    EACH_TOKEN_BLOCK(8, tokens, PRODUCT);
#undef PRODUCT
  }
}
