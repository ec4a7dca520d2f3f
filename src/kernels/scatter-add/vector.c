// Adds rows to those of a table that an index names; see reference.ts. A task has some columns of all rows, so
// that no two write to the same place.
#include "../c/kernel.h"
#include "../c/vec.h"

#define SCATTER_COLUMNS 32

enum { scatter_add_phases = 1 };

static work_plan scatter_add_plan(const scatter_add_command *c, int32_t phase, int32_t threads) {
  (void)phase;
  return split_evenly((c->cols + SCATTER_COLUMNS - 1) / SCATTER_COLUMNS, threads);
}

static void scatter_add_run(const scatter_add_command *c, int32_t phase, int32_t first, int32_t last) {
  (void)phase;
  const int32_t from = first * SCATTER_COLUMNS;
  const int32_t end = last * SCATTER_COLUMNS < c->cols ? last * SCATTER_COLUMNS : c->cols;
  for (int32_t row = 0; row < c->rows; row++) {
    const float *x = c->x + (size_t)row * c->cols;
    float *out = c->out + (size_t)c->index[row] * c->cols;
    for (int32_t col = from; col < end; col += LANES) {
      const int32_t n = end - col;
      store_first(out + col, load_first(out + col, n) + load_first(x + col, n), n);
    }
  }
}
