// Gradients of a mixture's sum; see reference.ts. Each place belongs to one row.
#include "../c/kernel.h"
#include "../c/vec.h"

enum { expert_sum_backward_phases = 1 };

static work_plan expert_sum_backward_plan(const expert_sum_backward_command *c, int32_t phase, int32_t threads) {
  (void)phase;
  return split_evenly(c->rows * c->top, threads);
}

static void expert_sum_backward_run(const expert_sum_backward_command *c, int32_t phase, int32_t first,
                                    int32_t last) {
  (void)phase;
  for (int32_t at = first; at < last; at++) {
    const float *d = c->d_out + (size_t)(at / c->top) * c->cols;
    const float *x = c->x + (size_t)c->places[at] * c->cols;
    float *dx = c->dx + (size_t)c->places[at] * c->cols;
    f32x16 sum = {0};
    for (int32_t col = 0; col < c->cols; col += LANES) {
      const int32_t n = c->cols - col < LANES ? c->cols - col : LANES;
      const f32x16 own = load_first(d + col, n);
      sum = sum + load_first(x + col, n) * own;
      store_first(dx + col, c->weights[at] * own, n);
    }
    c->d_weights[at] = sum_lanes(sum);
  }
}
