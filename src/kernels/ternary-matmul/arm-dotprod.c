// The ternary product with sdot: a quarter of a tile (four rows) is one register, and one register of
// 16 activations serves its four groups of columns, a lane each.
#include <arm_neon.h>

#include "ternary-matmul.h"

#define LOAD_QUARTER(w, tile, quarter) vld1q_u8((w) + (size_t)(tile) * 64 + (quarter) * 16)

typedef union {
  int32x4_t quarter[4];
  i32x16 whole;
} stripe_sums;

// One token: of four groups of codes only the highest is shifted, since sdot would take its top bit for
// a sign. Two stay where the mask finds them, worth 4 and 16 times themselves, in sums of their own
// that are scaled back. 48 * 128 for each of four columns a tile keeps 65,536 tiles below 2^31.
#define TILES_IN_INT32 65536

INLINE i32x16 stripe_one_token(const uint8_t *w, const int8_t *q, int32_t tiles) {
  const uint8x16_t m0 = vdupq_n_u8(0x03), m1 = vdupq_n_u8(0x0c), m2 = vdupq_n_u8(0x30);
  stripe_sums total = {0};
  for (int32_t start = 0; start < tiles; start += TILES_IN_INT32) {
    const int32_t end = tiles - start > TILES_IN_INT32 ? start + TILES_IN_INT32 : tiles;
    int32x4_t by1[4], by4[4], by16[4];
    for (int32_t s = 0; s < 4; s++) by1[s] = by4[s] = by16[s] = vdupq_n_s32(0);
    for (int32_t tile = start; tile < end; tile++) {
      const int8x16_t acts = vld1q_s8(q + (size_t)tile * 16);
      for (int32_t s = 0; s < 4; s++) {
        const uint8x16_t x = LOAD_QUARTER(w, tile, s);
        by1[s] = vdotq_laneq_s32(by1[s], vreinterpretq_s8_u8(vandq_u8(x, m0)), acts, 0);
        by4[s] = vdotq_laneq_s32(by4[s], vreinterpretq_s8_u8(vandq_u8(x, m1)), acts, 1);
        by16[s] = vdotq_laneq_s32(by16[s], vreinterpretq_s8_u8(vandq_u8(x, m2)), acts, 2);
        by1[s] = vdotq_laneq_s32(by1[s], vreinterpretq_s8_u8(vshrq_n_u8(x, 6)), acts, 3);
      }
    }
    for (int32_t s = 0; s < 4; s++) {
      const int32x4_t shifted = vaddq_s32(vshrq_n_s32(by4[s], 2), vshrq_n_s32(by16[s], 4));
      total.quarter[s] = vaddq_s32(total.quarter[s], vaddq_s32(by1[s], shifted));
    }
  }
  return total.whole;
}

// Several tokens: a quarter is unpacked once for all of them. `tokens` and `quarters` are constants to
// the compiler, with a product of at most 16, so that the sums stay in registers.
INLINE void block_of_tokens(const ternary_matmul_command *c, const int32_t tokens, const int32_t quarters,
                            int32_t token, int32_t stripe) {
  const int32_t tiles = (c->weights_cols + 15) / 16;
  const size_t q_stride = (size_t)tiles * 16;
  const uint8_t *w = c->weights_data + (size_t)stripe * tiles * 64;
  const int8_t *q = c->x_q + token * q_stride;
  const uint8x16_t mask = vdupq_n_u8(3);
  stripe_sums total[8];
  for (int32_t quarter = 0; quarter < 4; quarter += quarters) {
    int32x4_t sum[4][8];
    for (int32_t s = 0; s < quarters; s++) {
      for (int32_t t = 0; t < tokens; t++) sum[s][t] = vdupq_n_s32(0);
    }
    for (int32_t tile = 0; tile < tiles; tile++) {
      int8x16_t acts[8];
      for (int32_t t = 0; t < tokens; t++) acts[t] = vld1q_s8(q + t * q_stride + (size_t)tile * 16);
      for (int32_t s = 0; s < quarters; s++) {
        const uint8x16_t x = LOAD_QUARTER(w, tile, quarter + s);
        const int8x16_t c0 = vreinterpretq_s8_u8(vandq_u8(x, mask));
        const int8x16_t c1 = vreinterpretq_s8_u8(vandq_u8(vshrq_n_u8(x, 2), mask));
        const int8x16_t c2 = vreinterpretq_s8_u8(vandq_u8(vshrq_n_u8(x, 4), mask));
        const int8x16_t c3 = vreinterpretq_s8_u8(vshrq_n_u8(x, 6));
        for (int32_t t = 0; t < tokens; t++) sum[s][t] = vdotq_laneq_s32(sum[s][t], c0, acts[t], 0);
        for (int32_t t = 0; t < tokens; t++) sum[s][t] = vdotq_laneq_s32(sum[s][t], c1, acts[t], 1);
        for (int32_t t = 0; t < tokens; t++) sum[s][t] = vdotq_laneq_s32(sum[s][t], c2, acts[t], 2);
        for (int32_t t = 0; t < tokens; t++) sum[s][t] = vdotq_laneq_s32(sum[s][t], c3, acts[t], 3);
      }
    }
    for (int32_t s = 0; s < quarters; s++) {
      for (int32_t t = 0; t < tokens; t++) total[t].quarter[quarter + s] = sum[s][t];
    }
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
    int32_t token = 0;
    for (; token + 8 <= tokens; token += 8) block_of_tokens(c, 8, 2, token, stripe);
    for (; token + 4 <= tokens; token += 4) block_of_tokens(c, 4, 4, token, stripe);
    for (; token + 2 <= tokens; token += 2) block_of_tokens(c, 2, 4, token, stripe);
    for (; token < tokens; token++) block_of_tokens(c, 1, 4, token, stripe);
  }
}
