// Logits with biases, penalties and a mask; see reference.ts. A task is a row. Scratch: two bits a token.
#include "../c/kernel.h"
#include "../c/vec.h"

enum { adjust_logits_phases = 1 };

static work_plan adjust_logits_plan(const adjust_logits_command *c, int32_t phase, int32_t threads) {
  (void)phase;
  return split_evenly(c->rows, threads);
}

// Whether a token's bit was not set yet; it is now.
INLINE int32_t is_new_token(uint32_t *bits, int32_t token) {
  const uint32_t bit = 1u << (token & 31);
  const int32_t is_new = !(bits[token >> 5] & bit);
  bits[token >> 5] |= bit;
  return is_new;
}

static void penalise_row(const adjust_logits_command *c, int32_t row, float *x) {
  const float *own = c->amounts + (size_t)row * (PENALTY_FLOATS + c->bias_count);
  const float repetition = own[0], presence = own[1], frequency = own[2], answer = own[3];
  if (repetition == 1.0f && presence == 0.0f && frequency == 0.0f) return;
  const size_t words = ((size_t)c->cols + 31) / 32;
  uint32_t *seen = (uint32_t *)c->scratch + row * 2 * words, *answered = seen + words;
  __builtin_memset(seen, 0, 2 * words * sizeof *seen);
  const int32_t *step = c->step + (size_t)c->index[row] * STEP_WORDS;
  const int32_t *history = c->history + (size_t)step[STEP_SLOT] * c->capacity;
  for (int32_t position = 0; position <= step[STEP_POSITION]; position++) {
    const int32_t token = history[position];
    if (is_new_token(seen, token)) {
      x[token] = x[token] > 0.0f ? x[token] / repetition : x[token] * repetition;
    }
    if ((float)position < answer) continue;
    if (is_new_token(answered, token)) x[token] = x[token] - presence;
    x[token] = x[token] - frequency;
  }
}

static void adjust_logits_run(const adjust_logits_command *c, int32_t phase, int32_t first,
                              int32_t last) {
  (void)phase;
  const int32_t cols = c->cols;
  for (int32_t row = first; row < last; row++) {
    float *x = c->out + (size_t)row * cols;
    __builtin_memcpy(x, c->logits + (size_t)row * cols, (size_t)cols * sizeof *x);
    const float *biases = c->amounts + (size_t)row * (PENALTY_FLOATS + c->bias_count) + PENALTY_FLOATS;
    for (int32_t i = 0; c->bias_tokens && i < c->bias_count; i++) {
      if (biases[i] != 0.0f) x[c->bias_tokens[(size_t)row * c->bias_count + i]] += biases[i];
    }
    if (c->history) penalise_row(c, row, x);
    if (!c->mask) continue;
    const uint32_t *mask = (const uint32_t *)c->mask + (size_t)row * (((size_t)cols + 31) / 32);
    for (int32_t i = 0; i < cols; i += 32) {
      const uint32_t allowed = mask[i >> 5];
      if (allowed == 0xffffffffu) continue;
      // Every one is written: which are allowed is nothing that could be foretold.
      const int32_t count = cols - i < 32 ? cols - i : 32;
      for (int32_t n = 0; n < count; n++) x[i + n] = allowed >> n & 1 ? x[i + n] : -__builtin_inff();
    }
  }
}
