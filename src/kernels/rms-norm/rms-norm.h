// The part of an RMSNorm that quantize shares: the factor of one row; see reference.ts.
#ifndef BITNET_RMS_NORM_H
#define BITNET_RMS_NORM_H

#include "../c/vec.h"

typedef double f64x16 __attribute__((vector_size(128)));

INLINE f64x16 squares16(f32x16 v) {
  const f64x16 wide = __builtin_convertvector(v, f64x16);
  return wide * wide;
}

// The sum of 16 lanes as a tree: widths 8, 4, 2, 1.
INLINE double sum_lanes_f64(f64x16 v) {
  double lane[LANES];
  __builtin_memcpy(lane, &v, sizeof lane);
  for (int32_t width = 8; width > 0; width /= 2) {
    for (int32_t i = 0; i < width; i++) lane[i] = lane[i] + lane[i + width];
  }
  return lane[0];
}

// 1 / sqrt(mean(x^2) + eps)
INLINE float rms_inverse(const float *x, int32_t cols, float eps) {
  f64x16 sums = {0};
  int32_t col = 0;
  for (; col + LANES <= cols; col += LANES) sums = sums + squares16(load16(x + col));
  if (col < cols) sums = sums + squares16(load_first(x + col, cols - col));
  const float mean = (float)(sum_lanes_f64(sums) / cols);
  return 1.0f / __builtin_sqrtf(mean + eps);
}

#endif
