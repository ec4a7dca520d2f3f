// What the products without a dot product instruction share.
#ifndef BITNET_ARM_NEON_H
#define BITNET_ARM_NEON_H

#include <arm_neon.h>

#include "vec.h"

// Four activations, four times. Clang knows that both halves are equal and would then cut the weights'
// high half out with an instruction of its own instead of multiplying high halves; the empty asm hides
// it.
INLINE int8x16_t word_of(const int8_t *q) {
  int32_t four;
  __builtin_memcpy(&four, q, 4);
  int8x16_t word = vreinterpretq_s8_s32(vdupq_n_s32(four));
  __asm__("" : "+w"(word));
  return word;
}

#endif
