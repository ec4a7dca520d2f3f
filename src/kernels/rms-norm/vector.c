// out = x / sqrt(mean(x^2) + eps) * weight, or out + that; see reference.ts.
#include "../c/kernel.h"
#include "rms-norm.h"

enum { rms_norm_phases = 1 };

static work_plan rms_norm_plan(const rms_norm_command *c, int32_t phase, int32_t threads) {
  (void)phase;
  return c->rows < 4 ? one_piece(c->rows) : split_evenly(c->rows, threads);
}

static void rms_norm_run(const rms_norm_command *c, int32_t phase, int32_t first, int32_t last) {
  (void)phase;
  const int32_t cols = c->cols;
  const float *weight = c->weight;
  for (int32_t row = first; row < last; row++) {
    const float *x = c->x + (size_t)row * cols;
    float *out = c->out + (size_t)row * cols;
    const float inverse = rms_inverse(x, cols, c->eps);
    for (int32_t col = 0; col < cols; col += LANES) {
      const int32_t n = cols - col < LANES ? cols - col : LANES;
      f32x16 y = load_first(x + col, n) * inverse * load_first(weight + col, n);
      if (c->accumulate) y = load_first(out + col, n) + y;
      store_first(out + col, y, n);
    }
  }
}
