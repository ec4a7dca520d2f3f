// What the variants of the ternary product share; see reference.ts and ternary/pack.ts.
//
// Codes are w + 1, so a variant sums code * q and the token's sum of q comes off once at the end.
// Bounds: |code * q| <= 256, so int32 holds rows of up to 8 million columns.
#ifndef BITNET_TERNARY_MATMUL_H
#define BITNET_TERNARY_MATMUL_H

#include "../c/kernel.h"
#include "../c/token-blocks.h"
#include "../c/vec.h"

// A task is two stripes: 32 rows of the output.
#define TASK_STRIPES 2

// Takes the code sums of one stripe for one token to their place in the output.
INLINE void store_stripe(const ternary_matmul_command *c, int32_t token, int32_t stripe, i32x16 code_sums) {
  const int32_t rows = c->count, row = stripe * 16, n = rows - row;
  const i32x16 dot = code_sums - c->x_sums[token];
  const float token_scale = c->x_scales[token];
  float *out = c->out + (size_t)token * c->weights_rows + row;
  f32x16 y = __builtin_convertvector(dot, f32x16) *
             (token_scale * load16(c->weights_scales + row));
  if (c->accumulate) y = load_first(out, n) + y;
  store_first(out, y, n);
}

#endif
