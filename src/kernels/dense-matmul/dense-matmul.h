// What the variants of the dense product share; see reference.ts and layout.ts.
//
// int8 weights are stored as w + 128. A token is quantised to 16 bits as 256 * hi + lo with hi and lo
// int8, so that the product is two exact integer sums: H = sum w * hi and L = sum w * lo. With
// |stored * hi| <= 255 * 128, int32 holds rows of up to 65,536 columns. A variant's int8_sums may give any
// other H and L of int32 with the same 256 * H + L, and |L| <= 2^30 while 128 * lo_sum is still in it.
#ifndef BITNET_DENSE_MATMUL_H
#define BITNET_DENSE_MATMUL_H

#include "../c/kernel.h"
#include "../c/token-blocks.h"
#include "../c/vec.h"

// One token as the int8 product reads it: the planes hi and lo, then this.
typedef struct {
  float scale;
  int32_t hi_sum;
  int32_t lo_sum;
  int32_t padding[13];
} split_token;
_Static_assert(sizeof(split_token) == SPLIT_TOKEN_BYTES, "op.ts reserves scratch memory for it");

// Bytes from one token's planes to the next; a plane is padded to 16 columns.
INLINE size_t plane_bytes(int32_t cols) { return ((size_t)cols + 15) & ~(size_t)15; }
INLINE size_t split_stride(int32_t cols) { return 2 * plane_bytes(cols) + sizeof(split_token); }

// Quantises one token of x to its planes and what follows them.
INLINE void split_row(const float *x, int32_t cols, int8_t *planes) {
  const size_t plane = plane_bytes(cols);
  f32x16 peak = {0};
  for (int32_t col = 0; col < cols; col += LANES) {
    const int32_t n = cols - col < LANES ? cols - col : LANES;
    peak = max16(peak, abs16(load_first(x + col, n)));
  }
  const float floor = 1e-5f, found = max_lanes(peak);
  const float max = found > floor ? found : floor, factor = 32512.0f / max;
  i32x16 hi_sums = {0}, lo_sums = {0};
  for (int32_t col = 0; col < cols; col += LANES) {
    const int32_t n = cols - col < LANES ? cols - col : LANES;
    f32x16 r = round16(load_first(x + col, n) * factor);
    r = min16(max16(r, all16(-32512.0f)), all16(32512.0f));
    const i32x16 v = __builtin_convertvector(r, i32x16);
    const i32x16 hi = (v + 128) >> 8, lo = v - hi * 256;
    hi_sums += hi;
    lo_sums += lo;
    *(i8x16_any *)(planes + col) = __builtin_convertvector(hi, i8x16);
    *(i8x16_any *)(planes + plane + col) = __builtin_convertvector(lo, i8x16);
  }
  split_token *token = (split_token *)(planes + 2 * plane);
  token->scale = max / 32512.0f;
  token->hi_sum = token->lo_sum = 0;
  for (int32_t i = 0; i < LANES; i++) {
    token->hi_sum += hi_sums[i];
    token->lo_sum += lo_sums[i];
  }
}

// 256 * H + L as float32, by its whole multiples of 256 and the rest; see joinSums in reference.ts.
INLINE f32x16 join_sums(i32x16 H, i32x16 L) {
  const f32x16 rest = __builtin_convertvector(L & 255, f32x16);
  return __builtin_convertvector(H + (L >> 8), f32x16) * 256.0f + rest;
}

#endif
