// out row i = x row index[i]; see reference.ts.
// p: x, index, out · i: rows, cols

#include "../c/kernel.h"

static work_plan gather_rows_plan(const command *c, int32_t phase, int32_t threads) {
  (void)phase;
  (void)threads;
  return one_piece(c->i[0]);
}

static void gather_rows_run(const command *c, int32_t phase, int32_t first, int32_t last) {
  (void)phase;
  const size_t cols = (size_t)c->i[1];
  for (int32_t row = first; row < last; row++) {
    const int32_t from = ((const int32_t *)c->p[1])[row];
    __builtin_memcpy((float *)c->p[2] + row * cols, (const float *)c->p[0] + from * cols, cols * sizeof(float));
  }
}
