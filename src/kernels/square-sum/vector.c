// The sum of squares; see reference.ts.
#include "../c/kernel.h"
#include "../rms-norm/rms-norm.h"

enum { square_sum_phases = 2 };

static work_plan square_sum_plan(const square_sum_command *c, int32_t phase, int32_t threads) {
  return phase == 0 ? split_evenly(c->rows, threads) : one_piece(1);
}

static void square_sum_run(const square_sum_command *c, int32_t phase, int32_t first, int32_t last) {
  double *sums = c->scratch;
  if (phase == 0) {
    for (int32_t row = first; row < last; row++) {
      const float *x = c->x + (size_t)row * c->cols;
      f64x16 lanes = {0};
      for (int32_t col = 0; col < c->cols; col += LANES) lanes = lanes + squares16(load_first(x + col, c->cols - col));
      sums[row] = sum_lanes_f64(lanes);
    }
    return;
  }
  double total = 0;
  for (int32_t row = 0; row < c->rows; row++) total = total + sums[row];
  c->out[0] = (float)total;
}
