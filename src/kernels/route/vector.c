// Which experts each row goes to, and the rows sorted by expert; see reference.ts. The first phase chooses, row by
// row, and leaves the numbers of the experts in `places`; the second sorts.
#include "../c/kernel.h"
#include "../c/vec.h"

enum { route_phases = 2 };

static work_plan route_plan(const route_command *c, int32_t phase, int32_t threads) {
  if (phase == 0) return c->rows < 16 ? one_piece(c->rows) : split_evenly(c->rows, threads);
  return one_piece(1);
}

INLINE int32_t is_among(const int32_t *ids, int32_t count, int32_t id) {
  for (int32_t i = 0; i < count; i++) {
    if (ids[i] == id) return 1;
  }
  return 0;
}

static void choose_experts(const route_command *c, int32_t row) {
  const float *x = c->logits + (size_t)row * c->experts;
  float *weights = c->weights + (size_t)row * c->top;
  int32_t *ids = c->places + (size_t)row * c->top;
  float sum = 0;
  for (int32_t rank = 0; rank < c->top; rank++) {
    int32_t best = -1;
    for (int32_t expert = 0; expert < c->experts; expert++) {
      if (is_among(ids, rank, expert)) continue;
      if (best < 0 || x[expert] > x[best]) best = expert;
    }
    ids[rank] = best;
    weights[rank] = exp1(x[best] - x[ids[0]]);
    sum = sum + weights[rank];
  }
  for (int32_t rank = 0; rank < c->top; rank++) weights[rank] = weights[rank] / sum;
}

static void sort_by_expert(const route_command *c) {
  const int32_t count = c->rows * c->top;
  int32_t next[MAX_EXPERTS + 1] = {0};
  for (int32_t i = 0; i < count; i++) next[c->places[i] + 1]++;
  for (int32_t expert = 0; expert < c->experts; expert++) next[expert + 1] += next[expert];
  for (int32_t i = 0; i < count; i++) {
    const int32_t expert = c->places[i], place = next[expert]++;
    c->places[i] = place;
    c->sources[place] = i / c->top;
    c->chosen[place] = expert;
  }
}

static void route_run(const route_command *c, int32_t phase, int32_t first, int32_t last) {
  if (phase == 1) {
    sort_by_expert(c);
    return;
  }
  for (int32_t row = first; row < last; row++) choose_experts(c, row);
}
