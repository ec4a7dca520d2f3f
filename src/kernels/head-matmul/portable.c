// The nibble sums in plain vector C: sixteen rows in sixteen lanes, one column at a time. Also what a
// variant gets that has none of its own.
#include "../dense-matmul/dense-matmul.h"

#define HEAD_TOKENS 1

INLINE void nibble_sums(const int32_t tokens, const uint8_t *w, int32_t tiles, const int8_t *planes,
                        size_t stride, i32x16 *S) {
  for (int32_t t = 0; t < tokens; t++) {
    i32x16 sum = {0};
    for (int32_t tile = 0; tile < tiles; tile++) {
      const int8_t *hi = planes + t * stride + (size_t)tile * 8;
      const u32x16 x = (u32x16) * (const i32x16_any *)(w + (size_t)tile * 64);
      for (int32_t j = 0; j < 4; j++) {
        sum += (i32x16)(x >> (8 * j) & 15) * (int32_t)hi[j];
        sum += (i32x16)(x >> (8 * j + 4) & 15) * (int32_t)hi[4 + j];
      }
    }
    S[t] = sum;
  }
}
