// The int8 product without a dot product instruction: bytes are multiplied into int16 lanes and added
// to int32 lanes in pairs at once, because two products of -128 by -128 would not fit an int16.
#include "../c/arm-neon.h"
#include "dense-matmul.h"

// Six sums of four registers each, of 32.
#define DENSE_TOKENS 6
#define SHARED_STRIPES 1
#define INT8_TOKENS 1
// smull takes signed bytes, so stored values get their sign back and no 128 is left in the sums.
#define STORED_BIAS 0

// Rows 0 and 1 of a quarter are its low half, rows 2 and 3 its high half; a row has two lanes of sums.
INLINE int32x4_t add_low(int32x4_t sum, int8x16_t x, int8x16_t word) {
  return vpadalq_s16(sum, vmull_s8(vget_low_s8(x), vget_low_s8(word)));
}
INLINE int32x4_t add_high(int32x4_t sum, int8x16_t x, int8x16_t word) {
  return vpadalq_s16(sum, vmull_high_s8(x, word));
}

INLINE void int8_sums(const int32_t tokens, const uint8_t *w, int32_t groups, const int8_t *planes,
                      size_t stride, size_t lo_offset, i32x16 *H, i32x16 *L) {
  const uint8x16_t sign = vdupq_n_u8(0x80);
  for (int32_t t = 0; t < tokens; t++) {
    int32x4_t h_low[4], h_high[4], l_low[4], l_high[4];
    for (int32_t s = 0; s < 4; s++) h_low[s] = h_high[s] = l_low[s] = l_high[s] = vdupq_n_s32(0);
    for (int32_t group = 0; group < groups; group++) {
      const int8_t *acts = planes + t * stride + (size_t)group * 4;
      const int8x16_t hi = word_of(acts), lo = word_of(acts + lo_offset);
      for (int32_t s = 0; s < 4; s++) {
        const uint8x16_t stored = vld1q_u8(w + (size_t)group * 64 + s * 16);
        const int8x16_t x = vreinterpretq_s8_u8(veorq_u8(stored, sign));
        h_low[s] = add_low(h_low[s], x, hi);
        h_high[s] = add_high(h_high[s], x, hi);
        l_low[s] = add_low(l_low[s], x, lo);
        l_high[s] = add_high(l_high[s], x, lo);
      }
    }
    union {
      int32x4_t quarter[4];
      i32x16 whole;
    } h, l;
    for (int32_t s = 0; s < 4; s++) {
      h.quarter[s] = vpaddq_s32(h_low[s], h_high[s]);
      l.quarter[s] = vpaddq_s32(l_low[s], l_high[s]);
    }
    H[t] = h.whole;
    L[t] = l.whole;
  }
}
