// The int8 product in plain vector C: sixteen rows in sixteen lanes, one column at a time.
#include "dense-matmul.h"

#define DENSE_TOKENS 3
#define ALONE_STRIPES 2
#define SHARED_STRIPES 1
#define INT8_TOKENS 1

INLINE void int8_sums(const int32_t tokens, const uint8_t *w, int32_t groups, const int8_t *planes,
                      size_t stride, size_t lo_offset, i32x16 *H, i32x16 *L) {
  for (int32_t t = 0; t < tokens; t++) {
    i32x16 h = {0}, l = {0};
    for (int32_t group = 0; group < groups; group++) {
      const int8_t *hi = planes + t * stride + (size_t)group * 4;
      const u32x16 x = (u32x16) * (const i32x16_any *)(w + (size_t)group * 64);
      for (int32_t j = 0; j < 4; j++) {
        const i32x16 stored = (i32x16)((x >> (8 * j)) & 255);
        h += stored * (int32_t)hi[j];
        l += stored * (int32_t)hi[j + (ptrdiff_t)lo_offset];
      }
    }
    H[t] = h;
    L[t] = l;
  }
}
