// Blocks of a cache from one place to another; see reference.ts.
#include "../c/kernel.h"

enum { copy_blocks_phases = 1, PIECES = 16 };

// A part of each pair's keys and values is a task.
static work_plan copy_blocks_plan(const copy_blocks_command *c, int32_t phase, int32_t threads) {
  (void)phase;
  (void)threads;
  return (work_plan){c->rows * PIECES, 1};
}

static void copy_piece(uint8_t *memory, size_t words, const int32_t *pair, int32_t piece) {
  const size_t bytes = words * 4, begin = words * piece / PIECES * 4;
  const size_t end = words * (piece + 1) / PIECES * 4;
  __builtin_memcpy(memory + pair[1] * bytes + begin, memory + pair[0] * bytes + begin, end - begin);
}

static void copy_blocks_run(const copy_blocks_command *c, int32_t phase, int32_t first, int32_t last) {
  (void)phase;
  for (int32_t task = first; task < last; task++) {
    const int32_t *pair = c->pairs + task / PIECES * 2;
    copy_piece(c->cache_keys, (size_t)c->key_words, pair, task % PIECES);
    copy_piece(c->cache_values, (size_t)c->value_words, pair, task % PIECES);
  }
}
