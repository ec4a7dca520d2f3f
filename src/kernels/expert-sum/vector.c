// Adds to each row its experts' results times their weights; see reference.ts.
#include "../c/kernel.h"
#include "../c/vec.h"

enum { expert_sum_phases = 1 };

static work_plan expert_sum_plan(const expert_sum_command *c, int32_t phase, int32_t threads) {
  (void)phase;
  return c->rows < 4 ? one_piece(c->rows) : split_evenly(c->rows, threads);
}

static void expert_sum_run(const expert_sum_command *c, int32_t phase, int32_t first, int32_t last) {
  (void)phase;
  for (int32_t row = first; row < last; row++) {
    const float *weights = c->weights + (size_t)row * c->top;
    const int32_t *places = c->places + (size_t)row * c->top;
    float *out = c->out + (size_t)row * c->cols;
    for (int32_t col = 0; col < c->cols; col += LANES) {
      const int32_t n = c->cols - col < LANES ? c->cols - col : LANES;
      f32x16 sum = {0};
      for (int32_t rank = 0; rank < c->top; rank++) {
        sum = sum + weights[rank] * load_first(c->x + (size_t)places[rank] * c->cols + col, n);
      }
      store_first(out + col, load_first(out + col, n) + sum, n);
    }
  }
}
