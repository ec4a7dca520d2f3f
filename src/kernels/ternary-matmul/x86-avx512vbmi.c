// The ternary product of the 1.6-bit layout (ternary/base3.ts) with AVX-512 VBMI.
//
// x is at most 242. min(x, x - 81) takes 81 off where it can, for otherwise the byte wraps to a larger
// one; done twice, what is left is below 81 and what went is 81 t4. One table look-up then turns the
// rest, four trits, into the four codes of the 2-bit layout.
#include <immintrin.h>

#include "ternary-matmul.h"

// 2-bit codes of n = t0 + 3 t1 + 9 t2 + 27 t3; entries from 81 on are never asked for.
#define QUAD(n) ((n) % 3 | (n) / 3 % 3 << 2 | (n) / 9 % 3 << 4 | (n) / 27 % 3 << 6)
#define QUADS8(n) \
  QUAD(n), QUAD(n + 1), QUAD(n + 2), QUAD(n + 3), QUAD(n + 4), QUAD(n + 5), QUAD(n + 6), QUAD(n + 7)
static const uint8_t base3_table[128] __attribute__((aligned(64))) = {
    QUADS8(0),  QUADS8(8),  QUADS8(16), QUADS8(24), QUADS8(32),  QUADS8(40),  QUADS8(48),  QUADS8(56),
    QUADS8(64), QUADS8(72), QUADS8(80), QUADS8(88), QUADS8(96), QUADS8(104), QUADS8(112), QUADS8(120),
};

// A number that 81 times is 1 modulo 2^32: an exact division by 81 is a product with it.
#define INVERSE_OF_81 0x781948B1

typedef struct {
  // Four codes a byte in the 2-bit layout, and 81 times the fifth.
  __m512i quads, fifth;
} base3_tile;

INLINE base3_tile split_tile(const uint8_t *w, __m512i low, __m512i high) {
  const __m512i x = _mm512_loadu_si512(w), n81 = _mm512_set1_epi8(81);
  const __m512i once = _mm512_min_epu8(x, _mm512_sub_epi8(x, n81));
  const __m512i rest = _mm512_min_epu8(once, _mm512_sub_epi8(once, n81));
  return (base3_tile){_mm512_permutex2var_epi8(low, rest, high), _mm512_sub_epi8(x, rest)};
}

INLINE __m512i exact_81st(__m512i sum) {
  return _mm512_mullo_epi32(sum, _mm512_set1_epi32(INVERSE_OF_81));
}

// One token: as in x86-avx512vnni.c, the codes stay where the masks find them.
typedef struct {
  __m512i by1, by4, by16, by64, fifth;
} base3_one_token_sums;

INLINE void add_base3_one_token(base3_one_token_sums *s, const uint8_t *w, const int8_t *q, int32_t tiles) {
  const __m512i low = _mm512_load_si512(base3_table), high = _mm512_load_si512(base3_table + 64);
  const __m512i m0 = _mm512_set1_epi8(0x03), m1 = _mm512_set1_epi8(0x0c);
  const __m512i m2 = _mm512_set1_epi8(0x30), m3 = _mm512_set1_epi8((char)0xc0);
  for (int32_t tile = 0; tile < tiles; tile++, w += 64, q += 20) {
    ask_ahead_of_one_token(w);
    const base3_tile t = split_tile(w, low, high);
    s->by1 = _mm512_dpbusd_epi32(s->by1, _mm512_and_si512(t.quads, m0), word_of(q));
    s->by4 = _mm512_dpbusd_epi32(s->by4, _mm512_and_si512(t.quads, m1), word_of(q + 4));
    s->by16 = _mm512_dpbusd_epi32(s->by16, _mm512_and_si512(t.quads, m2), word_of(q + 8));
    s->by64 = _mm512_dpbusd_epi32(s->by64, _mm512_and_si512(t.quads, m3), word_of(q + 12));
    // At most 162 * 128 * 4 a tile: below 2^31 for half a million columns.
    s->fifth = _mm512_dpbusd_epi32(s->fifth, t.fifth, word_of(q + 16));
  }
}

INLINE i32x16 base3_one_token_total(const base3_one_token_sums *s) {
  const __m512i few = _mm512_add_epi32(s->by1, _mm512_srai_epi32(s->by4, 2));
  const __m512i many = _mm512_add_epi32(_mm512_srai_epi32(s->by16, 4), _mm512_srai_epi32(s->by64, 6));
  return (i32x16)_mm512_add_epi32(exact_81st(s->fifth), _mm512_add_epi32(few, many));
}

// Several tokens, as in x86-avx512vnni.c; `tokens` is a constant to the compiler, at most 8.
INLINE void base3_tokens(const ternary_matmul_command *c, const int32_t tokens, int32_t token, int32_t stripe,
                         int32_t tiles) {
  const __m512i low = _mm512_load_si512(base3_table), high = _mm512_load_si512(base3_table + 64);
  const __m512i mask = _mm512_set1_epi8(3);
  const size_t q_stride = ((size_t)c->weights_cols + 15) & ~(size_t)15;
  const uint8_t *w = c->weights_data + (size_t)stripe * tiles * 64;
  const int8_t *q = c->x_q + token * q_stride;
  const int32_t chains = tokens > 4 ? 1 : 4;
  __m512i sum[8][4], fifth[8];
  for (int32_t t = 0; t < tokens; t++) {
    fifth[t] = _mm512_setzero_si512();
    for (int32_t p = 0; p < chains; p++) sum[t][p] = fifth[t];
  }
  for (int32_t tile = 0; tile < tiles; tile++, w += 64, q += 20) {
    __builtin_prefetch(w + (size_t)tiles * 64, 0, 2);
    const base3_tile b = split_tile(w, low, high);
    const __m512i code[4] = {
        _mm512_and_si512(b.quads, mask),
        _mm512_and_si512(_mm512_srli_epi32(b.quads, 2), mask),
        _mm512_and_si512(_mm512_srli_epi32(b.quads, 4), mask),
        _mm512_and_si512(_mm512_srli_epi32(b.quads, 6), mask),
    };
    for (int32_t t = 0; t < tokens; t++) {
      const int8_t *a = q + t * q_stride;
      for (int32_t p = 0; p < 4; p++) {
        __m512i *s = &sum[t][p % chains];
        *s = _mm512_dpbusd_epi32(*s, code[p], word_of(a + 4 * p));
      }
      fifth[t] = _mm512_dpbusd_epi32(fifth[t], b.fifth, word_of(a + 16));
    }
  }
  for (int32_t t = 0; t < tokens; t++) {
    __m512i total = exact_81st(fifth[t]);
    for (int32_t p = 0; p < chains; p++) total = _mm512_add_epi32(total, sum[t][p]);
    store_stripe(c, token + t, stripe, (i32x16)total);
  }
}

static void ternary_matmul_base3(const ternary_matmul_command *c, int32_t first, int32_t last) {
  const int32_t tokens = c->rows, stripes = (c->count + 15) / 16, tiles = (c->weights_cols + 19) / 20;
  const int32_t end = last * TASK_STRIPES < stripes ? last * TASK_STRIPES : stripes;
  for (int32_t stripe = first * TASK_STRIPES; stripe < end; stripe++) {
    if (tokens == 1) {
      const uint8_t *w = c->weights_data + (size_t)stripe * tiles * 64;
      base3_one_token_sums sums = {{0}, {0}, {0}, {0}, {0}};
      add_base3_one_token(&sums, w, c->x_q, tiles);
      store_stripe(c, 0, stripe, base3_one_token_total(&sums));
      continue;
    }
#define PRODUCT(n, token) base3_tokens(c, n, token, stripe, tiles)
    EACH_TOKEN_BLOCK(8, tokens, PRODUCT);
#undef PRODUCT
  }
}
#define HAS_BASE3
