// out = A B of row-major float32 matrices; see reference.ts.
//
// B is copied to panels of one tile's columns, step by step, and A likewise where it is transposed; else its
// rows are read where they are. A tile of sums stays in registers for a block of steps.
#include "../c/kernel.h"
#include "../c/vec.h"

// Tiles that fill the registers: sums, a step's columns, and one element of A.
#if defined(__AVX512F__)
#define TILE_ROWS 12
#define TILE_VECTORS 2
#elif defined(__AVX2__) || defined(__aarch64__)
#define TILE_ROWS 6
#define TILE_VECTORS 1
#else
#define TILE_ROWS 2
#define TILE_VECTORS 1
#endif
#define TILE_COLS (TILE_VECTORS * LANES)
// What a task computes: its part of A and of B for a block of steps lie in the second cache.
#define TASK_ROWS 96
#define TASK_COLS 128

enum { matmul_phases = 2 };

INLINE int32_t panels_of(int32_t count, int32_t unit) { return (count + unit - 1) / unit; }

static work_plan matmul_plan(const matmul_command *c, int32_t phase, int32_t threads) {
  if (phase == 0) {
    const int32_t of_a = c->transpose_a ? panels_of(c->rows, TILE_ROWS) : 0;
    return split_evenly(panels_of(c->cols, TILE_COLS) + of_a, threads);
  }
  return split_evenly(panels_of(c->rows, TASK_ROWS) * panels_of(c->cols, TASK_COLS), threads);
}

// Copies `width` columns of x (inner, count), from `first` on, one step after the other; zeros past the end.
INLINE void panel_from_columns(float *to, const float *x, int32_t inner, int32_t count, int32_t first,
                         const int32_t width) {
  const int32_t n = count - first < width ? count - first : width;
  const float *from = x + first;
  for (int32_t k = 0; k < inner; k++, from += count, to += width) {
    if (n == width) {
      __builtin_memcpy(to, from, (size_t)width * sizeof(float));
    } else {
      for (int32_t i = 0; i < width; i++) to[i] = i < n ? from[i] : 0.0f;
    }
  }
}

// The same of `steps` elements of n rows that are `stride` apart.
INLINE void panel_from_rows(float *to, const float *from, size_t stride, int32_t steps, int32_t n,
                      const int32_t width) {
  for (int32_t block = 0; block < steps; block += LANES) {
    const int32_t count = steps - block < LANES ? steps - block : LANES;
    for (int32_t i = 0; i < width; i++) {
      for (int32_t k = 0; k < count; k++) {
        to[(size_t)(block + k) * width + i] = i < n ? from[i * stride + block + k] : 0.0f;
      }
    }
  }
}

// The sums of one tile over `steps` steps. Row r of A is `a_row` elements behind row r - 1, its next
// step `a_step` elements behind this one.
INLINE void tile_sums(f32x16 sums[TILE_ROWS][TILE_VECTORS], const float *a, size_t a_row, size_t a_step,
                      const float *b, int32_t steps) {
  for (int32_t r = 0; r < TILE_ROWS; r++) {
    for (int32_t v = 0; v < TILE_VECTORS; v++) sums[r][v] = (f32x16){0};
  }
  for (int32_t k = 0; k < steps; k++, a += a_step, b += TILE_COLS) {
    f32x16 columns[TILE_VECTORS];
    for (int32_t v = 0; v < TILE_VECTORS; v++) columns[v] = load16(b + v * LANES);
    for (int32_t r = 0; r < TILE_ROWS; r++) {
      const f32x16 x = all16(a[r * a_row]);
      for (int32_t v = 0; v < TILE_VECTORS; v++) sums[r][v] = add_fused(sums[r][v], x, columns[v]);
    }
  }
}

static void matmul_tile(const matmul_command *c, const float *a, size_t a_row, size_t a_step, const float *b,
                        int32_t steps, int32_t row, int32_t col, int32_t is_added) {
  f32x16 sums[TILE_ROWS][TILE_VECTORS];
  tile_sums(sums, a, a_row, a_step, b, steps);
  const int32_t rows = c->rows - row < TILE_ROWS ? c->rows - row : TILE_ROWS;
  for (int32_t r = 0; r < TILE_ROWS; r++) {
    if (r >= rows) break;
    for (int32_t v = 0; v < TILE_VECTORS; v++) {
      const int32_t n = c->cols - col - v * LANES;
      if (n <= 0) break;
      float *out = c->out + (size_t)(row + r) * c->cols + col + v * LANES;
      store_first(out, is_added ? load_first(out, n) + sums[r][v] : sums[r][v], n);
    }
  }
}

static void matmul_block(const matmul_command *c, int32_t first_row, int32_t first_col) {
  const int32_t end_row = first_row + TASK_ROWS < c->rows ? first_row + TASK_ROWS : c->rows;
  const int32_t end_col = first_col + TASK_COLS < c->cols ? first_col + TASK_COLS : c->cols;
  const size_t inner = (size_t)c->inner;
  const float *b_panels = c->scratch;
  const float *a_panels = b_panels + inner * panels_of(c->cols, TILE_COLS) * TILE_COLS;
  for (int32_t k = 0; k < c->inner; k += MATMUL_BLOCK) {
    const int32_t steps = c->inner - k < MATMUL_BLOCK ? c->inner - k : MATMUL_BLOCK;
    for (int32_t col = first_col; col < end_col; col += TILE_COLS) {
      const float *b = b_panels + inner * col + (size_t)k * TILE_COLS;
      for (int32_t row = first_row; row < end_row; row += TILE_ROWS) {
        const int32_t is_added = k > 0 || c->accumulate;
        if (c->transpose_a) {
          matmul_tile(c, a_panels + inner * row + (size_t)k * TILE_ROWS, 1, TILE_ROWS, b, steps, row, col, is_added);
        } else if (c->rows - row >= TILE_ROWS) {
          matmul_tile(c, c->a + inner * row + k, inner, 1, b, steps, row, col, is_added);
        } else {
          float rest[TILE_ROWS * MATMUL_BLOCK];
          panel_from_rows(rest, c->a + inner * row + k, inner, steps, c->rows - row, TILE_ROWS);
          matmul_tile(c, rest, 1, TILE_ROWS, b, steps, row, col, is_added);
        }
      }
    }
  }
}

static void matmul_run(const matmul_command *c, int32_t phase, int32_t first, int32_t last) {
  const int32_t b_count = panels_of(c->cols, TILE_COLS);
  const size_t inner = (size_t)c->inner;
  float *b_panels = c->scratch, *a_panels = b_panels + inner * b_count * TILE_COLS;
  for (int32_t task = first; task < last; task++) {
    if (phase == 1) {
      const int32_t across = panels_of(c->cols, TASK_COLS);
      matmul_block(c, task / across * TASK_ROWS, task % across * TASK_COLS);
    } else if (task >= b_count) {
      const int32_t row = (task - b_count) * TILE_ROWS;
      panel_from_columns(a_panels + inner * row, c->a, c->inner, c->rows, row, TILE_ROWS);
    } else if (c->transpose_b) {
      const int32_t col = task * TILE_COLS, n = c->cols - col < TILE_COLS ? c->cols - col : TILE_COLS;
      panel_from_rows(b_panels + inner * col, c->b + inner * col, inner, c->inner, n, TILE_COLS);
    } else {
      panel_from_columns(b_panels + inner * task * TILE_COLS, c->b, c->inner, c->cols, task * TILE_COLS, TILE_COLS);
    }
  }
}
