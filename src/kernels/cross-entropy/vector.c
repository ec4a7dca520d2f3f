// Cross-entropy fused with the softmax, and its gradient; see reference.ts.
#include "../c/kernel.h"
#include "../token-scores/softmax.h"

enum { cross_entropy_phases = 1 };

static work_plan cross_entropy_plan(const cross_entropy_command *c, int32_t phase, int32_t threads) {
  (void)phase;
  return split_evenly(c->rows, threads);
}

static void cross_entropy_run(const cross_entropy_command *c, int32_t phase, int32_t first, int32_t last) {
  (void)phase;
  const int32_t cols = c->cols;
  for (int32_t row = first; row < last; row++) {
    float *x = c->logits + (size_t)row * cols;
    const int32_t target = c->targets[row];
    const float weight = c->weights[row];
    const float max = largest_logit(x, cols), sum = sum_of_exponentials(x, cols, max);
    const float loss = weight * (log1(sum) - (x[target] - max));
    c->losses[row] = c->accumulate ? c->losses[row] + loss : loss;
    const float inverse = 1.0f / sum;
    const float own = (exp1(x[target] - max) * inverse - 1.0f) * weight;
    for (int32_t col = 0; col < cols; col += LANES) {
      const int32_t n = cols - col;
      store_first(x + col, exp16(load_first(x + col, n) - max) * inverse * weight, n);
    }
    x[target] = own;
  }
}
