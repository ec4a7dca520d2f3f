// What logits say of given tokens; see reference.ts.
#include "../c/kernel.h"
#include "softmax.h"

enum { token_scores_phases = 1 };

static work_plan token_scores_plan(const token_scores_command *c, int32_t phase, int32_t threads) {
  (void)phase;
  return split_evenly(c->rows, threads);
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
