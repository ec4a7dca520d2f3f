// The part of an RMSNorm that quantize shares: the factor of one row; see reference.ts.
#ifndef BITNET_RMS_NORM_H
#define BITNET_RMS_NORM_H

#include "../../../native/vec.h"

// 1 / sqrt(mean(x^2) + eps)
INLINE float rms_inverse(const float *x, int32_t cols, float eps) {
  f32x16 lanes = {0};
  int32_t col = 0;
  for (; col + LANES <= cols; col += LANES) {
    const f32x16 v = load16(x + col);
    lanes = lanes + v * v;
  }
  if (col < cols) {
    const f32x16 v = load_first(x + col, cols - col);
    lanes = lanes + v * v;
  }
  const float mean = sum_lanes(lanes) / (float)cols;
  return 1.0f / __builtin_sqrtf(mean + eps);
}

#endif
