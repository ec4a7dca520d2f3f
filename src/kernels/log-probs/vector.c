// What logits say of a drawn token and of the likeliest; see reference.ts. A task is a row.
#include "../c/kernel.h"
#include "../token-scores/softmax.h"

enum { log_probs_phases = 1 };

static work_plan log_probs_plan(const log_probs_command *c, int32_t phase, int32_t threads) {
  (void)phase;
  return split_evenly(c->rows, threads);
}

// The tokens of the largest logits, the largest first; returns how many there are.
static int32_t likeliest_tokens(const float *x, int32_t cols, int32_t count, int32_t *best) {
  const float lowest = -__builtin_inff();
  int32_t found = 0;
  float least = lowest;
  for (int32_t i = 0; i < cols; i += LANES) {
    const f32x16 v = cols - i < LANES ? load_rest(x + i, cols - i) : load16(x + i);
    if (!any16(v > least)) continue;
    for (int32_t n = 0; n < LANES && i + n < cols; n++) {
      const float logit = x[i + n];
      if (!(logit > least)) continue;
      int32_t at = found < count ? found++ : count - 1;
      for (; at > 0 && x[best[at - 1]] < logit; at--) best[at] = best[at - 1];
      best[at] = i + n;
      if (found == count) least = x[best[count - 1]];
    }
  }
  return found;
}

static void log_probs_run(const log_probs_command *c, int32_t phase, int32_t first, int32_t last) {
  (void)phase;
  const int32_t cols = c->cols, count = c->count;
  for (int32_t row = first; row < last; row++) {
    const float *x = c->logits + (size_t)row * cols;
    const int32_t token = c->tokens[row];
    float *out = c->out + (size_t)row * (DRAWN_FLOATS + count);
    int32_t *ids = c->ids + (size_t)row * count;
    const int32_t found = likeliest_tokens(x, cols, count, ids);
    const float max = found ? x[ids[0]] : -__builtin_inff();
    out[0] = token >= 0 && token < cols ? x[token] - max : 0.0f;
    out[1] = sum_of_exponentials(x, cols, max);
    for (int32_t i = 0; i < count; i++) {
      if (i >= found) ids[i] = 0;
      out[DRAWN_FLOATS + i] = i < found ? x[ids[i]] - max : -__builtin_inff();
    }
  }
}
