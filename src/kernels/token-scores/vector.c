// What logits say of given tokens; see reference.ts.
#include "../c/kernel.h"
#include "../rms-norm/rms-norm.h"

enum { token_scores_phases = 1 };

static work_plan token_scores_plan(const token_scores_command *c, int32_t phase, int32_t threads) {
  (void)phase;
  return split_evenly(c->rows, threads);
}

// The last n < 16 elements of a row in the first lanes; the others never are a maximum.
INLINE f32x16 load_rest(const float *x, int32_t n) {
  f32x16 v = all16(-__builtin_inff());
  for (int32_t i = 0; i < n; i++) v[i] = x[i];
  return v;
}

static float largest_logit(const float *x, int32_t cols) {
  f32x16 largest = all16(-__builtin_inff());
  int32_t i = 0;
  for (; i + LANES <= cols; i += LANES) {
    const f32x16 v = load16(x + i);
    largest = select16(v > largest, v, largest);
  }
  const f32x16 rest = load_rest(x + i, cols - i);
  largest = select16(rest > largest, rest, largest);
  return max_lanes(largest);
}

static float sum_of_exponentials(const float *x, int32_t cols, float max) {
  f64x16 sums = {0};
  int32_t i = 0;
  for (; i + LANES <= cols; i += LANES) {
    sums = sums + __builtin_convertvector(exp16(load16(x + i) - max), f64x16);
  }
  double lane[LANES];
  __builtin_memcpy(lane, &sums, sizeof lane);
  const f32x16 rest = exp16(load_rest(x + i, cols - i) - max);
  for (int32_t n = 0; i + n < cols; n++) lane[n] = lane[n] + (double)rest[n];
  for (int32_t width = 8; width > 0; width /= 2) {
    for (int32_t n = 0; n < width; n++) lane[n] = lane[n] + lane[n + width];
  }
  return (float)lane[0];
}

static void token_scores_run(const token_scores_command *c, int32_t phase, int32_t first, int32_t last) {
  (void)phase;
  const int32_t cols = c->cols;
  for (int32_t row = first; row < last; row++) {
    const int32_t *pair = c->pairs + (size_t)row * PAIR_WORDS;
    const float *x = c->logits + (size_t)pair[0] * cols;
    const int32_t token = pair[1];
    float *out = c->out + (size_t)row * SCORE_FLOATS;
    const float max = largest_logit(x, cols);
    int32_t is_best = x[token] == max;
    for (int32_t i = 0; is_best && i < token; i++) is_best = x[i] != max;
    out[0] = x[token] - max;
    out[1] = sum_of_exponentials(x, cols, max);
    out[2] = (float)is_best;
  }
}
