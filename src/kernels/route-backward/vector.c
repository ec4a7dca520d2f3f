// The gradient of a router's logits; see reference.ts. The first phase counts what went to each expert.
#include "../c/kernel.h"
#include "../token-scores/softmax.h"

enum { route_backward_phases = 2 };

static work_plan route_backward_plan(const route_backward_command *c, int32_t phase, int32_t threads) {
  return phase == 0 ? one_piece(1) : split_evenly(c->rows, threads);
}

static void route_backward_run(const route_backward_command *c, int32_t phase, int32_t first, int32_t last) {
  const int32_t experts = c->experts, top = c->top;
  float *shares = c->scratch;
  if (phase == 0) {
    const int32_t count = c->rows * top;
    for (int32_t expert = 0; expert < experts; expert++) shares[expert] = 0;
    for (int32_t i = 0; i < count; i++) shares[c->chosen[i]] += 1;
    for (int32_t expert = 0; expert < experts; expert++) shares[expert] = shares[expert] / (float)count;
    return;
  }
  for (int32_t row = first; row < last; row++) {
    const float *x = c->logits + (size_t)row * experts;
    float *d = c->d_logits + (size_t)row * experts;
    const float *weights = c->weights + (size_t)row * top, *d_weights = c->d_weights + (size_t)row * top;
    const int32_t *places = c->places + (size_t)row * top;
    const float max = largest_logit(x, experts);
    float sum = 0, mean = 0, inner = 0;
    for (int32_t expert = 0; expert < experts; expert++) {
      d[expert] = exp1(x[expert] - max);
      sum = sum + d[expert];
    }
    for (int32_t expert = 0; expert < experts; expert++) {
      d[expert] = d[expert] / sum;
      mean = mean + d[expert] * shares[expert];
    }
    const float factor = c->counts[row] * c->balance;
    for (int32_t expert = 0; expert < experts; expert++) d[expert] = factor * d[expert] * (shares[expert] - mean);
    for (int32_t rank = 0; rank < top; rank++) inner = inner + weights[rank] * d_weights[rank];
    for (int32_t rank = 0; rank < top; rank++) {
      const int32_t expert = c->chosen[places[rank]];
      d[expert] = d[expert] + weights[rank] * (d_weights[rank] - inner);
    }
  }
}
