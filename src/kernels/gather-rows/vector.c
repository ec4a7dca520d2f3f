// out row i = x row index[i]; see reference.ts.

#include "../c/kernel.h"

enum { gather_rows_phases = 1 };

static work_plan gather_rows_plan(const gather_rows_command *c, int32_t phase, int32_t threads) {
  (void)phase;
  (void)threads;
  return one_piece(c->rows);
}

static void gather_rows_run(const gather_rows_command *c, int32_t phase, int32_t first, int32_t last) {
  (void)phase;
  const size_t cols = (size_t)c->cols;
  for (int32_t row = first; row < last; row++) {
    const int32_t from = c->index[row];
    __builtin_memcpy(c->out + row * cols, c->x + from * cols, cols * sizeof(float));
  }
}
