// The tokens of a pass by sequence and position; see reference.ts.
#include "../c/kernel.h"

enum { token_history_phases = 1 };

static work_plan token_history_plan(const token_history_command *c, int32_t phase, int32_t threads) {
  (void)phase;
  (void)threads;
  return one_piece(c->rows);
}

static void token_history_run(const token_history_command *c, int32_t phase, int32_t first, int32_t last) {
  (void)phase;
  for (int32_t row = first; row < last; row++) {
    const int32_t *step = c->step + (size_t)row * STEP_WORDS;
    c->history[(size_t)step[STEP_SLOT] * c->capacity + step[STEP_POSITION]] = step[STEP_TOKEN];
  }
}
