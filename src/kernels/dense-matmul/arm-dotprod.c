// The int8 product with sdot: four rows of a group of four columns are one register, and a register of
// 16 activations serves four groups.
#include <arm_neon.h>

#include "dense-matmul.h"

// Six sums of four registers each, of 32.
#define DENSE_TOKENS 6
#define SHARED_STRIPES 1
// Sixteen sums of one register: two tokens, two planes, four quarters of a stripe.
#define INT8_TOKENS 2
// sdot takes signed bytes, so stored values get their sign back and no 128 is left in the sums.
#define STORED_BIAS 0

typedef union {
  int32x4_t quarter[4];
  i32x16 whole;
} plane_sums;

// One group against lane `lane` (a constant) of the activations.
#define ADD_GROUP(from, lane)                                                            \
  for (int32_t s = 0; s < 4; s++) {                                                      \
    const int8x16_t x = vreinterpretq_s8_u8(veorq_u8(vld1q_u8((from) + s * 16), sign));  \
    for (int32_t t = 0; t < tokens; t++) {                                               \
      h[t].quarter[s] = vdotq_laneq_s32(h[t].quarter[s], x, hi[t], lane);                \
      l[t].quarter[s] = vdotq_laneq_s32(l[t].quarter[s], x, lo[t], lane);                \
    }                                                                                    \
  }

INLINE void int8_sums(const int32_t tokens, const uint8_t *w, int32_t groups, const int8_t *planes,
                      size_t stride, size_t lo_offset, i32x16 *H, i32x16 *L) {
  const uint8x16_t sign = vdupq_n_u8(0x80);
  plane_sums h[INT8_TOKENS], l[INT8_TOKENS];
  for (int32_t t = 0; t < tokens; t++) h[t] = l[t] = (plane_sums){0};
  for (int32_t group = 0; group < groups;) {
    const uint8_t *from = w + (size_t)group * 64;
    // Sixteen bytes from any group on lie within the token: its split_token follows the planes.
    int8x16_t hi[INT8_TOKENS], lo[INT8_TOKENS];
    for (int32_t t = 0; t < tokens; t++) {
      const int8_t *acts = planes + t * stride + (size_t)group * 4;
      hi[t] = vld1q_s8(acts);
      lo[t] = vld1q_s8(acts + lo_offset);
    }
    ADD_GROUP(from, 0)
    if (groups - group < 4) {
      group++;
      continue;
    }
    ADD_GROUP(from + 64, 1)
    ADD_GROUP(from + 128, 2)
    ADD_GROUP(from + 192, 3)
    group += 4;
  }
  for (int32_t t = 0; t < tokens; t++) {
    H[t] = h[t].whole;
    L[t] = l[t].whole;
  }
}
