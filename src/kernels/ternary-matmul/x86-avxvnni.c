// The ternary product with vpdpbusd on 256-bit registers: half a tile is one register.
#include "../c/avx-vnni.h"

#include "ternary-matmul.h"

// One token, both halves at once so that memory is read strictly forward. As in x86-avx512vnni.c, the
// codes stay where the masks find them, in sums that are scaled back at the end.
INLINE i32x16 stripe_one_token(const uint8_t *w, const int8_t *q, int32_t tiles) {
  const __m256i masks[4] = {_mm256_set1_epi8(0x03), _mm256_set1_epi8(0x0c), _mm256_set1_epi8(0x30),
                            _mm256_set1_epi8((char)0xc0)};
  half_tiles sum[4];
  for (int32_t p = 0; p < 4; p++) sum[p].half[0] = sum[p].half[1] = _mm256_setzero_si256();
  for (int32_t tile = 0; tile < tiles; tile++, w += 64, q += 16) {
    for (int32_t half = 0; half < 2; half++) {
      const __m256i x = load_half(w, half);
      for (int32_t p = 0; p < 4; p++) {
        const __m256i codes = _mm256_and_si256(x, masks[p]);
        sum[p].half[half] = dot_bytes(sum[p].half[half], codes, word_of(q + 4 * p));
      }
    }
  }
  return (sum[0].whole + (sum[1].whole >> 2)) + ((sum[2].whole >> 4) + (sum[3].whole >> 6));
}

// Several tokens, 8 rows at a time; `tokens` is a constant to the compiler, at most 8: as many sums and
// four registers of codes are what sixteen registers have room for.
INLINE void block_of_tokens(const ternary_matmul_command *c, const int32_t tokens, int32_t token, int32_t stripe) {
  const int32_t tiles = (c->weights_cols + 15) / 16;
  const size_t q_stride = (size_t)tiles * 16;
  const uint8_t *w = c->weights_data + (size_t)stripe * tiles * 64;
  const int8_t *q = c->x_q + token * q_stride;
  const __m256i mask = _mm256_set1_epi8(3);
  half_tiles total[8];
  for (int32_t half = 0; half < 2; half++) {
    __m256i sum[8];
    for (int32_t t = 0; t < tokens; t++) sum[t] = _mm256_setzero_si256();
    for (int32_t tile = 0; tile < tiles; tile++) {
      // Of the next stripe: see x86-avx512vnni.c.
      if (half == 0) __builtin_prefetch(w + (size_t)(tiles + tile) * 64, 0, 2);
      const __m256i x = load_half(w + (size_t)tile * 64, half);
      const __m256i code[4] = {
          _mm256_and_si256(x, mask),
          _mm256_and_si256(_mm256_srli_epi32(x, 2), mask),
          _mm256_and_si256(_mm256_srli_epi32(x, 4), mask),
          _mm256_and_si256(_mm256_srli_epi32(x, 6), mask),
      };
      for (int32_t p = 0; p < 4; p++) {
        for (int32_t t = 0; t < tokens; t++) {
          const int8_t *a = q + t * q_stride + (size_t)tile * 16 + 4 * p;
          sum[t] = dot_bytes(sum[t], code[p], word_of(a));
        }
      }
    }
    for (int32_t t = 0; t < tokens; t++) total[t].half[half] = sum[t];
  }
  for (int32_t t = 0; t < tokens; t++) store_stripe(c, token + t, stripe, total[t].whole);
}

static void ternary_matmul_2bit(const ternary_matmul_command *c, int32_t phase, int32_t first, int32_t last) {
  (void)phase;
  const int32_t tokens = c->rows, stripes = (c->count + 15) / 16, tiles = (c->weights_cols + 15) / 16;
  const int32_t end = last * TASK_STRIPES < stripes ? last * TASK_STRIPES : stripes;
  for (int32_t stripe = first * TASK_STRIPES; stripe < end; stripe++) {
    if (tokens == 1) {
      const uint8_t *w = c->weights_data + (size_t)stripe * tiles * 64;
      store_stripe(c, 0, stripe, stripe_one_token(w, c->x_q, tiles));
      continue;
    }
#define PRODUCT(n, token) block_of_tokens(c, n, token, stripe)
    EACH_TOKEN_BLOCK(8, tokens, PRODUCT);
#undef PRODUCT
  }
}
