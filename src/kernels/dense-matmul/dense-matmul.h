// What the variants of the dense product share; see reference.ts and layout.ts.
// p: x, weights, row scales (int8), out, scratch (int8)
// i: tokens, out rows, cols, type (0 f32, 1 f16, 2 int8), accumulate
//
// int8 weights are stored as w + 128. A token is quantised to 16 bits as 256 * hi + lo with hi and lo
// int8, so that the product is two exact integer sums: H = sum w * hi and L = sum w * lo. With
// |stored * hi| <= 255 * 128, int32 holds rows of up to 65,536 columns.
#ifndef BITNET_DENSE_MATMUL_H
#define BITNET_DENSE_MATMUL_H

#include "../../../native/kernel.h"
#include "../../../native/vec.h"

// One token as the int8 product reads it: the planes hi and lo, then this.
typedef struct {
  float scale;
  int32_t hi_sum;
  int32_t lo_sum;
  int32_t padding[13];
} split_token;

// Bytes from one token's planes to the next; a plane is padded to 16 columns.
INLINE size_t plane_bytes(int32_t cols) { return ((size_t)cols + 15) & ~(size_t)15; }
INLINE size_t split_stride(int32_t cols) { return 2 * plane_bytes(cols) + sizeof(split_token); }

#endif
