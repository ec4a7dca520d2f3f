// out = x + share (out - x); see reference.ts.
#include "../c/kernel.h"
#include "../c/vec.h"

enum { blend_phases = 1 };

static work_plan blend_plan(const blend_command *c, int32_t phase, int32_t threads) {
  (void)phase;
  return split_evenly(c->rows, threads);
}

static void blend_run(const blend_command *c, int32_t phase, int32_t first, int32_t last) {
  (void)phase;
  const float share = c->share[0];
  for (int32_t row = first; row < last; row++) {
    const float *x = c->x + (size_t)row * c->cols;
    float *out = c->out + (size_t)row * c->cols;
    for (int32_t col = 0; col < c->cols; col += LANES) {
      const int32_t n = c->cols - col;
      const f32x16 from = load_first(x + col, n);
      store_first(out + col, from + (load_first(out + col, n) - from) * share, n);
    }
  }
}
