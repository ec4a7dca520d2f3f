// The largest of a row of logits, and the sum of exponentials below it; see reference.ts.
#ifndef BITNET_SOFTMAX_H
#define BITNET_SOFTMAX_H

#include "../rms-norm/rms-norm.h"

// The last n < 16 elements of a row in the first lanes; the others never are a maximum.
INLINE f32x16 load_rest(const float *x, int32_t n) {
  f32x16 v = all16(-__builtin_inff());
  for (int32_t i = 0; i < n; i++) v[i] = x[i];
  return v;
}

static float largest_logit(const float *x, int32_t cols) {
  f32x16 largest = all16(-__builtin_inff());
  int32_t i = 0;
  for (; i + LANES <= cols; i += LANES) {
    const f32x16 v = load16(x + i);
    largest = select16(v > largest, v, largest);
  }
  const f32x16 rest = load_rest(x + i, cols - i);
  largest = select16(rest > largest, rest, largest);
  return max_lanes(largest);
}

static float sum_of_exponentials(const float *x, int32_t cols, float max) {
  f64x16 sums = {0};
  int32_t i = 0;
  for (; i + LANES <= cols; i += LANES) {
    sums = sums + __builtin_convertvector(exp16(load16(x + i) - max), f64x16);
  }
  double lane[LANES];
  __builtin_memcpy(lane, &sums, sizeof lane);
  const f32x16 rest = exp16(load_rest(x + i, cols - i) - max);
  for (int32_t n = 0; i + n < cols; n++) lane[n] = lane[n] + (double)rest[n];
  for (int32_t width = 8; width > 0; width /= 2) {
    for (int32_t n = 0; n < width; n++) lane[n] = lane[n] + lane[n + width];
  }
  return (float)lane[0];
}

#endif
