// Gradients of experts' products; see reference.ts. Operands are copied to panels as matmul does, each as one matrix:
// a panel has its steps one after the other, so that those of an expert (rows of its matrix, or rows that went to it)
// are a part of each panel. Tasks are blocks of a result, whichever rows went where.
#include "../c/kernel.h"
#include "../c/vec.h"

enum { expert_matmul_backward_phases = 2 };

typedef struct {
  // Panels of the weights and of x, of TILE_COLS columns, and of dOut, of TILE_ROWS.
  float *weights, *x, *d_out;
  // Rows of the stacked weights.
  int32_t stacked;
} expert_panels;

INLINE expert_panels panels_in(const expert_matmul_backward_command *c) {
  const int32_t stacked = c->experts * c->count;
  const size_t width = (size_t)panels_of(c->cols, TILE_COLS) * TILE_COLS;
  float *weights = c->scratch, *x = weights + width * stacked;
  return (expert_panels){weights, x, x + width * c->rows, stacked};
}

static work_plan expert_matmul_backward_plan(const expert_matmul_backward_command *c, int32_t phase,
                                             int32_t threads) {
  const int32_t across = panels_of(c->cols, TASK_COLS);
  if (phase == 0) return split_evenly(2 * panels_of(c->cols, TILE_COLS) + panels_of(c->count, TILE_ROWS), threads);
  return split_evenly(across * (panels_of(c->rows, TASK_ROWS) + panels_of(c->count, TASK_ROWS)), threads);
}

INLINE int32_t end_of_run(const expert_matmul_backward_command *c, int32_t row, int32_t last) {
  int32_t end = row + 1;
  while (end < last && c->chosen[end] == c->chosen[row]) end++;
  return end;
}

// dx of rows [row, end), which share an expert, and of some columns.
static void gradient_of_rows(const expert_matmul_backward_command *c, int32_t row, int32_t end, int32_t first_col) {
  const expert_panels panels = panels_in(c);
  const int32_t count = c->count, last = first_col + TASK_COLS < c->cols ? first_col + TASK_COLS : c->cols;
  const matmul_command product = {.rows = end, .cols = c->cols, .out = c->dx};
  const size_t expert = (size_t)c->chosen[row] * count * TILE_COLS;
  for (int32_t k = 0; k < count; k += MATMUL_BLOCK) {
    const int32_t steps = count - k < MATMUL_BLOCK ? count - k : MATMUL_BLOCK;
    for (int32_t col = first_col; col < last; col += TILE_COLS) {
      const float *b = panels.weights + (size_t)panels.stacked * col + expert + (size_t)k * TILE_COLS;
      for (int32_t at = row; at < end; at += TILE_ROWS) {
        const float *a = c->d_out + (size_t)at * count + k;
        if (end - at >= TILE_ROWS) {
          matmul_tile(&product, a, count, 1, b, steps, at, col, k > 0);
        } else {
          float rest[TILE_ROWS * MATMUL_BLOCK];
          panel_from_rows(rest, a, count, steps, end - at, TILE_ROWS);
          matmul_tile(&product, rest, 1, TILE_ROWS, b, steps, at, col, k > 0);
        }
      }
    }
  }
}

// Adds to the gradient of a block of the matrix of the expert that rows [first, end) went to.
static void gradient_of_expert(const expert_matmul_backward_command *c, int32_t first, int32_t end, int32_t first_row,
                            int32_t first_col) {
  const expert_panels panels = panels_in(c);
  const int32_t last_row = first_row + TASK_ROWS < c->count ? first_row + TASK_ROWS : c->count;
  const int32_t last_col = first_col + TASK_COLS < c->cols ? first_col + TASK_COLS : c->cols;
  const matmul_command product = {
      .rows = c->count,
      .cols = c->cols,
      .out = c->d_weights + (size_t)c->chosen[first] * c->count * c->cols,
  };
  for (int32_t k = first; k < end; k += MATMUL_BLOCK) {
    const int32_t steps = end - k < MATMUL_BLOCK ? end - k : MATMUL_BLOCK;
    for (int32_t col = first_col; col < last_col; col += TILE_COLS) {
      const float *b = panels.x + (size_t)c->rows * col + (size_t)k * TILE_COLS;
      for (int32_t row = first_row; row < last_row; row += TILE_ROWS) {
        const float *a = panels.d_out + (size_t)c->rows * row + (size_t)k * TILE_ROWS;
        matmul_tile(&product, a, 1, TILE_ROWS, b, steps, row, col, 1);
      }
    }
  }
}

static void copy_expert_panel(const expert_matmul_backward_command *c, int32_t task) {
  const expert_panels panels = panels_in(c);
  const int32_t across = panels_of(c->cols, TILE_COLS);
  if (task < across) {
    const int32_t col = task * TILE_COLS;
    panel_from_columns(panels.weights + (size_t)panels.stacked * col, c->weights, panels.stacked, c->cols, col, TILE_COLS);
  } else if (task < 2 * across) {
    const int32_t col = (task - across) * TILE_COLS;
    panel_from_columns(panels.x + (size_t)c->rows * col, c->x, c->rows, c->cols, col, TILE_COLS);
  } else {
    const int32_t row = (task - 2 * across) * TILE_ROWS;
    panel_from_columns(panels.d_out + (size_t)c->rows * row, c->d_out, c->rows, c->count, row, TILE_ROWS);
  }
}

static void expert_matmul_backward_run(const expert_matmul_backward_command *c, int32_t phase, int32_t first,
                                       int32_t last) {
  const int32_t across = panels_of(c->cols, TASK_COLS), of_rows = across * panels_of(c->rows, TASK_ROWS);
  for (int32_t task = first; task < last; task++) {
    if (phase == 0) {
      copy_expert_panel(c, task);
      continue;
    }
    const int32_t block = task < of_rows ? task : task - of_rows;
    const int32_t block_row = block / across * TASK_ROWS, col = block % across * TASK_COLS;
    const int32_t from = task < of_rows ? block_row : 0;
    const int32_t to = task < of_rows && from + TASK_ROWS < c->rows ? from + TASK_ROWS : c->rows;
    for (int32_t row = from, end; row < to; row = end) {
      end = end_of_run(c, row, to);
      if (task < of_rows) {
        gradient_of_rows(c, row, end, col);
      } else {
        gradient_of_expert(c, row, end, block_row, col);
      }
    }
  }
}
