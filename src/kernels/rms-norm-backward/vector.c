// The gradients of an RMSNorm; see reference.ts. Rows first, then columns of the weight.
#include "../c/kernel.h"
#include "../rms-norm/rms-norm.h"

// Columns of a task of the second phase: two cache lines of every row.
#define WEIGHT_COLUMNS 32

enum { rms_norm_backward_phases = 2 };

static work_plan rms_norm_backward_plan(const rms_norm_backward_command *c, int32_t phase, int32_t threads) {
  return split_evenly(phase == 0 ? c->rows : (c->cols + WEIGHT_COLUMNS - 1) / WEIGHT_COLUMNS, threads);
}

static void row_gradient(const rms_norm_backward_command *c, int32_t row) {
  const int32_t cols = c->cols;
  const float *x = c->x + (size_t)row * cols, *d_out = c->d_out + (size_t)row * cols;
  float *dx = c->dx + (size_t)row * cols;
  const float inverse = rms_inverse(x, cols, c->eps);
  ((float *)c->scratch)[row] = inverse;
  f64x16 sums = {0};
  for (int32_t col = 0; col < cols; col += LANES) {
    const int32_t n = cols - col;
    const f32x16 g = load_first(d_out + col, n) * load_first(c->weight + col, n);
    sums = sums + __builtin_convertvector(g, f64x16) * __builtin_convertvector(load_first(x + col, n), f64x16);
  }
  const float along = inverse * inverse * (float)(sum_lanes_f64(sums) / cols);
  for (int32_t col = 0; col < cols; col += LANES) {
    const int32_t n = cols - col;
    const f32x16 g = load_first(d_out + col, n) * load_first(c->weight + col, n);
    const f32x16 d = (g - load_first(x + col, n) * along) * inverse;
    store_first(dx + col, c->accumulate ? load_first(dx + col, n) + d : d, n);
  }
}

static void weight_gradient(const rms_norm_backward_command *c, int32_t first, int32_t n) {
  f64x16 sums = {0};
  for (int32_t row = 0; row < c->rows; row++) {
    const size_t at = (size_t)row * c->cols + first;
    const f32x16 normed = load_first(c->x + at, n) * ((const float *)c->scratch)[row];
    sums = sums + __builtin_convertvector(load_first(c->d_out + at, n) * normed, f64x16);
  }
  float *out = c->d_weight + first;
  store_first(out, load_first(out, n) + __builtin_convertvector(sums, f32x16), n);
}

static void rms_norm_backward_run(const rms_norm_backward_command *c, int32_t phase, int32_t first, int32_t last) {
  for (int32_t task = first; task < last; task++) {
    if (phase == 0) {
      row_gradient(c, task);
      continue;
    }
    for (int32_t col = task * WEIGHT_COLUMNS; col < (task + 1) * WEIGHT_COLUMNS && col < c->cols; col += LANES) {
      weight_gradient(c, col, c->cols - col);
    }
  }
}
