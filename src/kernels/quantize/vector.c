// Absmax int8 of each token, after an RMSNorm where a weight is given; see reference.ts.

#include "../c/kernel.h"
#include "../rms-norm/rms-norm.h"

enum { quantize_phases = 1 };

static work_plan quantize_plan(const quantize_command *c, int32_t phase, int32_t threads) {
  (void)phase;
  return c->rows < 4 ? one_piece(c->rows) : split_evenly(c->rows, threads);
}

// 16 values of a row from a column on, or its last n, after the norm where there is one.
INLINE f32x16 normed16(const float *x, const float *weight, float inverse, int32_t col, int32_t n) {
  const f32x16 y = load_first(x + col, n);
  return weight ? y * inverse * load_first(weight + col, n) : y;
}

INLINE f32x16 peak_of(f32x16 peak, f32x16 y) { return max16(peak, abs16(y)); }

// Stores 16 codes, zeros beyond the row's end, and returns them.
INLINE i32x16 round_to(int8_t *q, f32x16 y, float factor) {
  const f32x16 r = min16(max16(round16(y * factor), all16(-128.0f)), all16(127.0f));
  const i32x16 whole = __builtin_convertvector(r, i32x16);
  *(i8x16_any *)q = __builtin_convertvector(whole, i8x16);
  return whole;
}

// One row; `weight` is a constant where it is called, so that no loop asks for it.
INLINE void quantize_row(const quantize_command *c, int32_t row, const float *weight) {
  const int32_t cols = c->cols, padded = (cols + 15) & ~15, whole = cols & ~15, rest = cols - whole;
  const float *x = c->x + (size_t)row * cols;
  int8_t *q = c->out_q + (size_t)row * padded;
  int32_t col;
  // Codes of the last layer are in the caches of all who read them.
  for (col = 0; col < cols; col += 64) __builtin_prefetch(q + col, 1, 3);
  const float inverse = weight ? rms_inverse(x, cols, c->eps) : 1.0f;

  f32x16 peak = {0}, other = {0};  // a maximum waits for the one before it: two take turns
  for (col = 0; col + LANES < whole; col += 2 * LANES) {
    peak = peak_of(peak, normed16(x, weight, inverse, col, LANES));
    other = peak_of(other, normed16(x, weight, inverse, col + LANES, LANES));
  }
  if (col < whole) peak = peak_of(peak, normed16(x, weight, inverse, col, LANES));
  if (rest) other = peak_of(other, normed16(x, weight, inverse, whole, rest));
  const float floor = 1e-5f, found = max_lanes(max16(peak, other));
  const float max = found > floor ? found : floor;
  const float factor = 127.0f / max;

  i32x16 sums = {0};
  for (col = 0; col < whole; col += LANES) {
    sums += round_to(q + col, normed16(x, weight, inverse, col, LANES), factor);
  }
  if (rest) sums += round_to(q + whole, normed16(x, weight, inverse, whole, rest), factor);
  int32_t sum = 0;
  for (int32_t i = 0; i < LANES; i++) sum += sums[i];
  c->out_scales[row] = max / 127.0f;
  c->out_sums[row] = sum;
}

// Asks for a row, which other threads have just written, or for the weights: all of it at once, as the sums would
// wait for one line after the other.
INLINE void ask_for_row(const float *x, int32_t cols) {
  for (int32_t col = 0; col < cols; col += LANES) __builtin_prefetch(x + col, 0, 2);
}

static void quantize_run(const quantize_command *c, int32_t phase, int32_t first, int32_t last) {
  (void)phase;
  ask_for_row(c->x + (size_t)first * c->cols, c->cols);
  if (c->weight) ask_for_row(c->weight, c->cols);
  for (int32_t row = first; row < last; row++) {
    if (row + 1 < last) ask_for_row(c->x + (size_t)(row + 1) * c->cols, c->cols);
    if (c->weight) quantize_row(c, row, c->weight);
    else quantize_row(c, row, NULL);
  }
}
