// The ternary product of the 1.6-bit layout (ternary/base3.ts) in plain vector C, for variants that
// have no quicker way: correct everywhere, and never chosen for speed.
#include "ternary-matmul.h"

// Sums of code * q of one stripe. The last tile may reach past the row's activations: codes there are
// zero, so nothing of what is read counts.
INLINE i32x16 base3_stripe(const uint8_t *w, const int8_t *q, int32_t tiles) {
  i32x16 sum = {0};
  for (int32_t tile = 0; tile < tiles; tile++, w += 64, q += 20) {
    const u32x16 x = (u32x16) * (const i32x16_any *)w;
    for (int32_t j = 0; j < 4; j++) {
      u32x16 rest = (x >> (8 * j)) & 255;
      for (int32_t p = 0; p < 5; p++) {
        // Exact for rest < 256: 171 / 512 is a third and a little more.
        const u32x16 third = (rest * 171) >> 9;
        sum += (i32x16)(rest - third * 3) * (int32_t)q[4 * p + j];
        rest = third;
      }
    }
  }
  return sum;
}

static void ternary_matmul_base3(const ternary_matmul_command *c, int32_t first, int32_t last) {
  const int32_t tokens = c->rows, stripes = (c->count + 15) / 16, tiles = (c->weights_cols + 19) / 20;
  const size_t q_stride = ((size_t)c->weights_cols + 15) & ~(size_t)15;
  const int32_t end = last * TASK_STRIPES < stripes ? last * TASK_STRIPES : stripes;
  for (int32_t stripe = first * TASK_STRIPES; stripe < end; stripe++) {
    const uint8_t *w = c->weights_data + (size_t)stripe * tiles * 64;
    for (int32_t token = 0; token < tokens; token++) {
      const int8_t *q = c->x_q + token * q_stride;
      store_stripe(c, token, stripe, base3_stripe(w, q, tiles));
    }
  }
}
