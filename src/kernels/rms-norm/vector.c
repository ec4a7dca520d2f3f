// out = x / sqrt(mean(x^2) + eps) * weight, or out + that; see reference.ts.
// p: x, weight, out · i: rows, cols, accumulate · f: eps
#include "../c/kernel.h"
#include "rms-norm.h"

static work_plan rms_norm_plan(const command *c, int32_t phase, int32_t threads) {
  (void)phase;
  return c->i[0] < 4 ? one_piece(c->i[0]) : split_evenly(c->i[0], threads);
}

static void rms_norm_run(const command *c, int32_t phase, int32_t first, int32_t last) {
  (void)phase;
  const int32_t cols = c->i[1];
  const float *weight = c->p[1];
  for (int32_t row = first; row < last; row++) {
    const float *x = (const float *)c->p[0] + (size_t)row * cols;
    float *out = (float *)c->p[2] + (size_t)row * cols;
    const float inverse = rms_inverse(x, cols, c->f[0]);
    for (int32_t col = 0; col < cols; col += LANES) {
      const int32_t n = cols - col < LANES ? cols - col : LANES;
      f32x16 y = load_first(x + col, n) * inverse * load_first(weight + col, n);
      if (c->i[2]) y = load_first(out + col, n) + y;
      store_first(out + col, y, n);
    }
  }
}
