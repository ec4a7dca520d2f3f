// The nibble sums with sdot: four rows of a tile are one register of nibbles and one of high nibbles.
#include <arm_neon.h>

#include "../dense-matmul/dense-matmul.h"

// Sixteen sums of one register: four tokens, four quarters of a stripe.
#define HEAD_TOKENS 4

INLINE void nibble_sums(const int32_t tokens, const uint8_t *w, int32_t tiles, const int8_t *planes,
                        size_t stride, i32x16 *S) {
  const uint8x16_t mask = vdupq_n_u8(0x0f);
  union {
    int32x4_t quarter[4];
    i32x16 whole;
  } sum[HEAD_TOKENS];
  for (int32_t t = 0; t < tokens; t++) sum[t].whole = (i32x16){0};
  for (int32_t tile = 0; tile < tiles; tile++) {
    // Eight activations of every token, as two words.
    int8x8_t acts[HEAD_TOKENS];
    for (int32_t t = 0; t < tokens; t++) acts[t] = vld1_s8(planes + t * stride + (size_t)tile * 8);
    for (int32_t s = 0; s < 4; s++) {
      const uint8x16_t x = vld1q_u8(w + (size_t)tile * 64 + s * 16);
      const int8x16_t x0 = vreinterpretq_s8_u8(vandq_u8(x, mask));
      const int8x16_t x1 = vreinterpretq_s8_u8(vshrq_n_u8(x, 4));
      for (int32_t t = 0; t < tokens; t++) {
        sum[t].quarter[s] = vdotq_lane_s32(sum[t].quarter[s], x0, acts[t], 0);
        sum[t].quarter[s] = vdotq_lane_s32(sum[t].quarter[s], x1, acts[t], 1);
      }
    }
  }
  for (int32_t t = 0; t < tokens; t++) S[t] = sum[t].whole;
}
