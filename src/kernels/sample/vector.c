// Draws the next token of each row; see draw.h. A task is a row.
#include "draw.h"

enum { sample_phases = 1 };

static work_plan sample_plan(const sample_command *c, int32_t phase, int32_t threads) {
  (void)phase;
  return split_evenly(c->rows, threads);
}

static void sample_run(const sample_command *c, int32_t phase, int32_t first, int32_t last) {
  (void)phase;
  for (int32_t r = first; r < last; r++) {
    const int32_t *settings = c->settings + (size_t)r * SETTING_WORDS;
    const int32_t *step = c->step + (size_t)c->index[r] * STEP_WORDS;
    uint64_t *scratch = (uint64_t *)c->scratch + (size_t)r * SAMPLE_WORDS;
    c->tokens[r] = draw_token(c->logits + (size_t)r * c->cols, NULL, c->cols, settings, step, scratch);
  }
}
