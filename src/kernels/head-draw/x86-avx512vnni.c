// The look at a head with vpdpbusd.
#include <immintrin.h>

#define HEAD_LOOK
#include "look.h"

// The logits of `stripes` stripes for `tokens` rows, nearly: infinite where a weight is, and none past the end.
INLINE void look_block(const head_draw_command *c, const int32_t tokens, const int32_t stripes, int32_t row,
                       int32_t stripe) {
  const int32_t groups = look_groups(c), left = vocabulary(c) - stripe * 16;
  const size_t stripe_bytes = (size_t)groups * 64;
  const uint8_t *w = c->look_data + stripe * stripe_bytes;
  const int8_t *x = look_inputs(c) + (size_t)(row / LOOK_TOKENS) * look_block_bytes(c);
  __m512i sums[LOOK_STRIPES][LOOK_TOKENS];
  for (int32_t s = 0; s < stripes; s++) {
    for (int32_t t = 0; t < tokens; t++) sums[s][t] = _mm512_setzero_si512();
  }
  for (int32_t group = 0; group < groups; group++, x += LOOK_TOKENS * 4, w += 64) {
    __m512i own[LOOK_STRIPES];
    for (int32_t s = 0; s < stripes; s++) {
      own[s] = _mm512_loadu_si512(w + s * stripe_bytes);
      // Of the next stripes, which the first rows ask for.
      if (row == 0) __builtin_prefetch(w + (stripes + s) * stripe_bytes, 0, 2);
    }
    // Row by row, or the words of all would want eight registers beside the sums.
    for (int32_t t = 0; t < tokens; t++) {
      const __m512i word = _mm512_set1_epi32(((const int32_t *)x)[t]);
      for (int32_t s = 0; s < stripes; s++) sums[s][t] = _mm512_dpbusd_epi32(sums[s][t], own[s], word);
    }
  }
  for (int32_t t = 0; t < tokens; t++) {
    if (look_rows(c)[row + t].kind == DRAW_ALL) continue;
    const look_view v = view_of(c, row + t);
    look_peaks *peaks = v.peaks + stripe / LOOK_STRIPES;
    if (stripe % LOOK_STRIPES == 0) no_peaks(peaks);
    for (int32_t s = 0; s < stripes; s++) {
      const f32x16 scales = load16(c->look_scales + (stripe + s) * 16);
      const i32x16 is_number = scales < all16(__builtin_inff()), is_there = tokens_from(s * 16) < left;
      const look_row *own = look_rows(c) + row + t;
      const i32x16 sum = (i32x16)sums[s][t] - 128 * own->sum;
      f32x16 near = __builtin_convertvector(sum, f32x16) * (scales * own->unit), least, most;
      near = select16(is_number, near, all16(__builtin_inff()));
      near = select16(is_there, near, all16(-__builtin_inff()));
      store16(v.near + (stripe + s) * 16, near);
      limits_of_near(near, doubt_of(&v, stripe + s), &least, &most);
      add_peaks(peaks, least, most);
    }
  }
}

// From one stripe on, LOOK_STRIPES of those before `end`, or what is left of them.
static void look_task(const head_draw_command *c, int32_t stripe, int32_t end) {
  int32_t rows = 0;
  for (int32_t row = 0; row < c->rows; row++) rows += look_rows(c)[row].kind != DRAW_ALL;
  if (rows == 0) return;
#define PRODUCTS(n, row) look_block(c, n, LOOK_STRIPES, row, stripe)
#define PRODUCT(n, row) look_block(c, n, 1, row, stripe)
  if (end - stripe >= LOOK_STRIPES) {
    EACH_TOKEN_BLOCK(LOOK_TOKENS, c->rows, PRODUCTS);
    return;
  }
  for (; stripe < end; stripe++) EACH_TOKEN_BLOCK(LOOK_TOKENS, c->rows, PRODUCT);
#undef PRODUCT
#undef PRODUCTS
}
