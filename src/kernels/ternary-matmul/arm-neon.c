// The ternary product without a dot product instruction: smlal multiplies bytes into int16 lanes.
//
// A quarter of a tile (four rows) is one register. smlal takes its low half, rows 0 and 1, and smlal2
// its high half, rows 2 and 3; a row has four lanes, which are added up in pairs at the end.
#include "../c/arm-neon.h"
#include "ternary-matmul.h"

// A lane takes four products a tile. With codes of at most 3 (no packer writes 3) they are at most
// 4 * 3 * 128 = 1,536, so an int16 lane holds 21 tiles (32,256) before it is widened.
#define TILES_IN_INT16 21

// `tokens` and `quarters` are constants to the compiler, with a product of at most 8: two registers of
// int16 sums for each pair.
INLINE void block_of_tokens(const ternary_matmul_command *c, const int32_t tokens, const int32_t quarters,
                            int32_t token, int32_t stripe) {
  const int32_t tiles = (c->weights_cols + 15) / 16;
  const size_t q_stride = (size_t)tiles * 16;
  const uint8_t *w = c->weights_data + (size_t)stripe * tiles * 64;
  const int8_t *q = c->x_q + token * q_stride;
  const uint8x16_t mask = vdupq_n_u8(3);
  union {
    int32x4_t quarter[4];
    i32x16 whole;
  } total[4];
  for (int32_t quarter = 0; quarter < 4; quarter += quarters) {
    int32x4_t low_sum[4][4], high_sum[4][4];
    for (int32_t s = 0; s < quarters; s++) {
      for (int32_t t = 0; t < tokens; t++) low_sum[s][t] = high_sum[s][t] = vdupq_n_s32(0);
    }
    for (int32_t start = 0; start < tiles; start += TILES_IN_INT16) {
      const int32_t end = tiles - start > TILES_IN_INT16 ? start + TILES_IN_INT16 : tiles;
      int16x8_t low[4][4], high[4][4];
      for (int32_t s = 0; s < quarters; s++) {
        for (int32_t t = 0; t < tokens; t++) low[s][t] = high[s][t] = vdupq_n_s16(0);
      }
      for (int32_t tile = start; tile < end; tile++) {
        int8x16_t code[4][4];
        for (int32_t s = 0; s < quarters; s++) {
          const uint8x16_t x = vld1q_u8(w + (size_t)tile * 64 + (quarter + s) * 16);
          code[s][0] = vreinterpretq_s8_u8(vandq_u8(x, mask));
          code[s][1] = vreinterpretq_s8_u8(vandq_u8(vshrq_n_u8(x, 2), mask));
          code[s][2] = vreinterpretq_s8_u8(vandq_u8(vshrq_n_u8(x, 4), mask));
          code[s][3] = vreinterpretq_s8_u8(vshrq_n_u8(x, 6));
        }
#pragma clang loop unroll(full)
        for (int32_t t = 0; t < tokens; t++) {
          for (int32_t p = 0; p < 4; p++) {
            const int8x16_t word = word_of(q + t * q_stride + (size_t)tile * 16 + 4 * p);
            for (int32_t s = 0; s < quarters; s++) {
              low[s][t] = vmlal_s8(low[s][t], vget_low_s8(code[s][p]), vget_low_s8(word));
              high[s][t] = vmlal_high_s8(high[s][t], code[s][p], word);
            }
          }
        }
      }
      for (int32_t s = 0; s < quarters; s++) {
        for (int32_t t = 0; t < tokens; t++) {
          low_sum[s][t] = vpadalq_s16(low_sum[s][t], low[s][t]);
          high_sum[s][t] = vpadalq_s16(high_sum[s][t], high[s][t]);
        }
      }
    }
    for (int32_t s = 0; s < quarters; s++) {
      for (int32_t t = 0; t < tokens; t++) {
        total[t].quarter[quarter + s] = vpaddq_s32(low_sum[s][t], high_sum[s][t]);
      }
    }
  }
  for (int32_t t = 0; t < tokens; t++) store_stripe(c, token + t, stripe, total[t].whole);
}

static void ternary_matmul_2bit(const ternary_matmul_command *c, int32_t phase, int32_t first, int32_t last) {
  (void)phase;
  const int32_t tokens = c->rows, stripes = (c->count + 15) / 16;
  const int32_t end = last * TASK_STRIPES < stripes ? last * TASK_STRIPES : stripes;
  for (int32_t stripe = first * TASK_STRIPES; stripe < end; stripe++) {
    int32_t token = 0;
    for (; token + 4 <= tokens; token += 4) block_of_tokens(c, 4, 2, token, stripe);
    for (; token + 2 <= tokens; token += 2) block_of_tokens(c, 2, 4, token, stripe);
    for (; token < tokens; token++) block_of_tokens(c, 1, 4, token, stripe);
  }
}
