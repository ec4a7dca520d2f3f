// What the variants of the ternary product share; see reference.ts and ternary/pack.ts.
// p: q, token scales, token sums, packed weights, row scales, out
// i: tokens, rows to compute, cols, accumulate, packing (0 2bit, 1 base3), rows of the matrix, the first
// row to compute (ternary_matmul_any, in kernels/c/variant.h, has moved the pointers there)
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

static work_plan ternary_matmul_plan(const command *c, int32_t phase, int32_t threads) {
  (void)phase;
  const int32_t stripes = (c->i[1] + 15) / 16;
  return split_evenly((stripes + TASK_STRIPES - 1) / TASK_STRIPES, threads);
}

// Takes the code sums of one stripe for one token to their place in the output.
INLINE void store_stripe(const command *c, int32_t token, int32_t stripe, i32x16 code_sums) {
  const int32_t rows = c->i[1], row = stripe * 16, n = rows - row;
  const i32x16 dot = code_sums - ((const int32_t *)c->p[2])[token];
  const float token_scale = ((const float *)c->p[1])[token];
  float *out = (float *)c->p[5] + (size_t)token * c->i[5] + row;
  f32x16 y = __builtin_convertvector(dot, f32x16) *
             (token_scale * load16((const float *)c->p[4] + row));
  if (c->i[3]) y = load_first(out, n) + y;
  store_first(out, y, n);
}

#endif
