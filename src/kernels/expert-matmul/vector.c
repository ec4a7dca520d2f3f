// Each row by the matrix of its expert; see reference.ts. A task has some stripes of every expert, and goes through
// the runs of rows that share one: the variant's own product, which reads a stripe once for all rows of a run.
#include "../ternary-matmul/ternary-matmul.h"

enum { expert_matmul_phases = 1 };

static work_plan expert_matmul_plan(const expert_matmul_command *c, int32_t phase, int32_t threads) {
  (void)phase;
  const int32_t stripes = c->weights_rows / c->experts / 16;
  return split_evenly((stripes + TASK_STRIPES - 1) / TASK_STRIPES, threads);
}

static void expert_matmul_run(const expert_matmul_command *c, int32_t phase, int32_t first, int32_t last) {
  (void)phase;
  const int32_t count = c->weights_rows / c->experts;
  const int32_t tile_cols = c->weights_packing == PACKING_BASE3 ? 20 : 16;
  const size_t tiles = (size_t)(c->weights_cols + tile_cols - 1) / tile_cols;
  const size_t stride = ((size_t)c->weights_cols + 15) / 16 * 16;
  for (int32_t row = 0, end; row < c->rows; row = end) {
    const int32_t expert = c->chosen[row];
    for (end = row + 1; end < c->rows && c->chosen[end] == expert;) end++;
    const ternary_matmul_command product = {
        .rows = end - row,
        .x_q = c->x_q + row * stride,
        .x_scales = c->x_scales + row,
        .x_sums = c->x_sums + row,
        .weights_rows = count,
        .weights_cols = c->weights_cols,
        .weights_packing = c->weights_packing,
        .weights_data = c->weights_data + (size_t)expert * (count / 16) * tiles * 64,
        .weights_scales = c->weights_scales + (size_t)expert * count,
        .out = c->out + (size_t)row * count,
        .count = count,
    };
    product_of_stripes(&product, first, last);
  }
}
