// The nibble sums without a dot product instruction: a product is at most 15 * 128 = 1,920, so a tile's
// are added as int16 and then, in pairs, to int32 lanes. A row has two lanes.
#include "../c/arm-neon.h"
#include "../dense-matmul/dense-matmul.h"

#define HEAD_TOKENS 1

INLINE void nibble_sums(const int32_t tokens, const uint8_t *w, int32_t tiles, const int8_t *planes,
                        size_t stride, i32x16 *S) {
  const uint8x16_t mask = vdupq_n_u8(0x0f);
  for (int32_t t = 0; t < tokens; t++) {
    int32x4_t low[4], high[4];
    for (int32_t s = 0; s < 4; s++) low[s] = high[s] = vdupq_n_s32(0);
    for (int32_t tile = 0; tile < tiles; tile++) {
      const int8_t *hi = planes + t * stride + (size_t)tile * 8;
      const int8x16_t a = word_of(hi), b = word_of(hi + 4);
      for (int32_t s = 0; s < 4; s++) {
        const uint8x16_t x = vld1q_u8(w + (size_t)tile * 64 + s * 16);
        const int8x16_t x0 = vreinterpretq_s8_u8(vandq_u8(x, mask));
        const int8x16_t x1 = vreinterpretq_s8_u8(vshrq_n_u8(x, 4));
        const int16x8_t first = vmull_s8(vget_low_s8(x0), vget_low_s8(a));
        const int16x8_t second = vmull_high_s8(x0, a);
        low[s] = vpadalq_s16(low[s], vmlal_s8(first, vget_low_s8(x1), vget_low_s8(b)));
        high[s] = vpadalq_s16(high[s], vmlal_high_s8(second, x1, b));
      }
    }
    union {
      int32x4_t quarter[4];
      i32x16 whole;
    } sum;
    for (int32_t s = 0; s < 4; s++) sum.quarter[s] = vpaddq_s32(low[s], high[s]);
    S[t] = sum.whole;
  }
}
