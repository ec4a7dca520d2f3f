// Logits with biases, penalties and a mask; see reference.ts. A task is a row.
#include "adjust.h"

enum { adjust_logits_phases = 1 };

static work_plan adjust_logits_plan(const adjust_logits_command *c, int32_t phase, int32_t threads) {
  (void)phase;
  return split_evenly(c->rows, threads);
}

static void adjust_logits_run(const adjust_logits_command *c, int32_t phase, int32_t first,
                              int32_t last) {
  (void)phase;
  for (int32_t row = first; row < last; row++) {
    float *x = c->out + (size_t)row * c->cols;
    __builtin_memcpy(x, c->logits + (size_t)row * c->cols, (size_t)c->cols * sizeof *x);
    change_row(c, row, x, NULL);
    if (c->mask) mask_row(c, row, x);
  }
}
