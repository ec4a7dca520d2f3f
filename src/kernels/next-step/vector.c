// Drawn tokens and the next positions as the next step; see reference.ts.
#include "../c/kernel.h"

enum { next_step_phases = 1 };

static work_plan next_step_plan(const next_step_command *c, int32_t phase, int32_t threads) {
  (void)phase;
  (void)threads;
  return one_piece(c->rows);
}

static void next_step_run(const next_step_command *c, int32_t phase, int32_t first, int32_t last) {
  (void)phase;
  for (int32_t row = first; row < last; row++) {
    int32_t *step = c->step + (size_t)c->index[row] * STEP_WORDS;
    const int32_t token = c->tokens[row];
    step[STEP_TOKEN] = token >= 0 && token < c->token_limit ? token : 0;
    const int32_t next = step[STEP_POSITION] + 1;
    step[STEP_POSITION] = next < c->position_limit ? next : c->position_limit - 1;
  }
}
