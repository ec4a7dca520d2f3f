// The ternary product with vpmaddubsw: half a tile is one register.
//
// A product of two pairs is at most 2 * 2 * 128 = 512, the four groups of a tile at most 2,048, so an
// int16 lane holds 15 tiles (30,720) before it is widened. Nothing wraps, whatever the input.
#include <immintrin.h>

#include "ternary-matmul.h"

#define TILES_IN_INT16 15

INLINE __m256i word_of(const int8_t *q) { return _mm256_set1_epi32(*(const int32_t *)q); }

// `tokens` tokens (a constant to the compiler, at most 4) against one stripe, 8 rows at a time.
INLINE void block_of_tokens(const ternary_matmul_command *c, const int32_t tokens, int32_t token, int32_t stripe) {
  const int32_t tiles = (c->weights_cols + 15) / 16;
  const size_t q_stride = (size_t)tiles * 16;
  const uint8_t *w = c->weights_data + (size_t)stripe * tiles * 64;
  const int8_t *q = c->x_q + token * q_stride;
  const __m256i mask = _mm256_set1_epi8(3), ones = _mm256_set1_epi16(1);
  union {
    __m256i half[2];
    i32x16 whole;
  } total[4];
  for (int32_t half = 0; half < 2; half++) {
    __m256i sum[4];
    for (int32_t t = 0; t < tokens; t++) sum[t] = _mm256_setzero_si256();
    for (int32_t start = 0; start < tiles; start += TILES_IN_INT16) {
      const int32_t end = start + TILES_IN_INT16 < tiles ? start + TILES_IN_INT16 : tiles;
      __m256i part[4];
      for (int32_t t = 0; t < tokens; t++) part[t] = _mm256_setzero_si256();
      for (int32_t tile = start; tile < end; tile++) {
        // Of the next stripe: see x86-avx512vnni.c.
        if (half == 0) __builtin_prefetch(w + (size_t)(tiles + tile) * 64, 0, 2);
        const __m256i x = _mm256_loadu_si256((const __m256i *)(w + (size_t)tile * 64 + half * 32));
        const __m256i c0 = _mm256_and_si256(x, mask);
        const __m256i c1 = _mm256_and_si256(_mm256_srli_epi32(x, 2), mask);
        const __m256i c2 = _mm256_and_si256(_mm256_srli_epi32(x, 4), mask);
        const __m256i c3 = _mm256_and_si256(_mm256_srli_epi32(x, 6), mask);
        for (int32_t t = 0; t < tokens; t++) {
          const int8_t *a = q + t * q_stride + (size_t)tile * 16;
          const __m256i low = _mm256_add_epi16(_mm256_maddubs_epi16(c0, word_of(a)),
                                               _mm256_maddubs_epi16(c1, word_of(a + 4)));
          const __m256i high = _mm256_add_epi16(_mm256_maddubs_epi16(c2, word_of(a + 8)),
                                                _mm256_maddubs_epi16(c3, word_of(a + 12)));
          part[t] = _mm256_add_epi16(part[t], _mm256_add_epi16(low, high));
        }
      }
      for (int32_t t = 0; t < tokens; t++) {
        sum[t] = _mm256_add_epi32(sum[t], _mm256_madd_epi16(part[t], ones));
      }
    }
    for (int32_t t = 0; t < tokens; t++) total[t].half[half] = sum[t];
  }
  for (int32_t t = 0; t < tokens; t++) store_stripe(c, token + t, stripe, total[t].whole);
}

// One token, both halves at once so that memory is read strictly forward.
#define HAS_ONE_TOKEN_PARTS

typedef struct {
  __m256i half[2];
} one_token_sums;

INLINE void add_one_token(one_token_sums *s, const uint8_t *w, const int8_t *q, int32_t tiles) {
  const __m256i mask = _mm256_set1_epi8(3), ones = _mm256_set1_epi16(1);
  for (int32_t start = 0; start < tiles; start += TILES_IN_INT16) {
    const int32_t end = start + TILES_IN_INT16 < tiles ? start + TILES_IN_INT16 : tiles;
    __m256i part[2] = {_mm256_setzero_si256(), _mm256_setzero_si256()};
    for (int32_t tile = start; tile < end; tile++) {
      const int8_t *a = q + (size_t)tile * 16;
      const __m256i q0 = word_of(a), q1 = word_of(a + 4), q2 = word_of(a + 8), q3 = word_of(a + 12);
      for (int32_t half = 0; half < 2; half++) {
        const __m256i x = _mm256_loadu_si256((const __m256i *)(w + (size_t)tile * 64 + half * 32));
        const __m256i low = _mm256_add_epi16(
            _mm256_maddubs_epi16(_mm256_and_si256(x, mask), q0),
            _mm256_maddubs_epi16(_mm256_and_si256(_mm256_srli_epi32(x, 2), mask), q1));
        const __m256i high = _mm256_add_epi16(
            _mm256_maddubs_epi16(_mm256_and_si256(_mm256_srli_epi32(x, 4), mask), q2),
            _mm256_maddubs_epi16(_mm256_and_si256(_mm256_srli_epi32(x, 6), mask), q3));
        part[half] = _mm256_add_epi16(part[half], _mm256_add_epi16(low, high));
      }
    }
    for (int32_t half = 0; half < 2; half++) {
      s->half[half] = _mm256_add_epi32(s->half[half], _mm256_madd_epi16(part[half], ones));
    }
  }
}

INLINE i32x16 one_token_total(const one_token_sums *s) {
  union {
    __m256i half[2];
    i32x16 whole;
  } total = {.half = {s->half[0], s->half[1]}};
  return total.whole;
}

static void ternary_matmul_2bit(const ternary_matmul_command *c, int32_t phase, int32_t first, int32_t last) {
  (void)phase;
  const int32_t tokens = c->rows, stripes = (c->count + 15) / 16;
  const int32_t end = last * TASK_STRIPES < stripes ? last * TASK_STRIPES : stripes;
  for (int32_t stripe = first * TASK_STRIPES; stripe < end; stripe++) {
    if (tokens == 1) {
      const size_t tiles = (c->weights_cols + 15) / 16;
      one_token_sums sums = {{{0}, {0}}};
      add_one_token(&sums, c->weights_data + stripe * tiles * 64, c->x_q, (int32_t)tiles);
      store_stripe(c, 0, stripe, one_token_total(&sums));
      continue;
    }
#define PRODUCT(n, token) block_of_tokens(c, n, token, stripe)
    EACH_TOKEN_BLOCK(4, tokens, PRODUCT);
#undef PRODUCT
  }
}
