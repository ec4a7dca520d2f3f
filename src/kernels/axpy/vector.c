// out = scale * x, or out + scale * x; see reference.ts.
#include "../c/kernel.h"
#include "../c/vec.h"

enum { axpy_phases = 1 };

static work_plan axpy_plan(const axpy_command *c, int32_t phase, int32_t threads) {
  (void)phase;
  return split_evenly(c->rows, threads);
}

static void axpy_run(const axpy_command *c, int32_t phase, int32_t first, int32_t last) {
  (void)phase;
  for (int32_t row = first; row < last; row++) {
    const float *x = c->x + (size_t)row * c->cols;
    float *out = c->out + (size_t)row * c->cols;
    for (int32_t col = 0; col < c->cols; col += LANES) {
      const int32_t n = c->cols - col;
      const f32x16 scaled = c->scale == 0.0f ? (f32x16){0} : load_first(x + col, n) * c->scale;
      store_first(out + col, c->accumulate ? load_first(out + col, n) + scaled : scaled, n);
    }
  }
}
