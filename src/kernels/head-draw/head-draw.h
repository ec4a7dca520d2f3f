// The head and the draw behind it; see reference.ts. What a look leaves of each row, and where it lies.
//
// Scratch, in this order: a look_row of each row; its input as int8, in blocks of LOOK_TOKENS rows whose groups of
// four columns are neighbours; its input as short floats; near or exact logits, (rows, near_stride), and their peaks,
// (rows, groups of stripes); of each row the tokens that are computed exactly and their logits, and the least and the
// most that those may be which callers change; what sample needs, and what adjust-logits does.
#ifndef BITNET_HEAD_DRAW_H
#define BITNET_HEAD_DRAW_H

#include "../adjust-logits/adjust.h"
#include "../c/token-blocks.h"
#include "../sample/draw.h"

// Rows whose int8 inputs lie together.
#define LOOK_TOKENS 8

// What is computed of a row: all logits; those that may be among the largest top_k; or those that may win the race.
enum { DRAW_ALL, DRAW_LARGEST, DRAW_RACE };

typedef struct {
  int32_t kind;
  // Tokens that are computed exactly, and tokens that callers change.
  int32_t count, listed;
  // Sum of the int8 input, which stands for its multiples of `unit`.
  int32_t sum;
  float unit;
  // What its token's bounds are times to be the most that int8 is off.
  float rounding, spread;
  int32_t padding[9];
} look_row;
_Static_assert(sizeof(look_row) == LOOK_ROW_BYTES, "op.ts reserves scratch memory for it");

// The largest, lane by lane, of what the logits of LOOK_STRIPES stripes are at least, and at most.
typedef struct {
  float least[LANES], most[LANES];
} look_peaks;

// Of a row: places in lists.
typedef struct {
  int32_t tokens[LOOK_ROOM + LANES];
  float logits[LOOK_ROOM + LANES];
  float least[CHANGED_ROOM], most[CHANGED_ROOM];
} look_lists;
_Static_assert(sizeof(look_lists) == LOOK_LISTS_BYTES, "op.ts reserves scratch memory for it");

INLINE int32_t vocabulary(const head_draw_command *c) { return c->weights_rows; }
INLINE int32_t draw_stripes(const head_draw_command *c) { return (c->weights_rows + 15) / 16; }
INLINE int32_t peak_groups(const head_draw_command *c) { return (draw_stripes(c) + LOOK_STRIPES - 1) / LOOK_STRIPES; }
INLINE int32_t look_groups(const head_draw_command *c) { return (c->weights_cols + 3) / 4; }
INLINE int32_t look_blocks(const head_draw_command *c) { return (c->rows + LOOK_TOKENS - 1) / LOOK_TOKENS; }
// A line more than there must be: rows begin in sets of the cache of their own.
INLINE size_t short_stride(const head_draw_command *c) { return (((size_t)c->weights_cols + 15) & ~(size_t)15) + 16; }
INLINE size_t near_stride(const head_draw_command *c) { return (size_t)draw_stripes(c) * 16 + 16; }
INLINE size_t bit_words(const head_draw_command *c) { return ((size_t)vocabulary(c) + 31) / 32; }

INLINE look_row *look_rows(const head_draw_command *c) { return (look_row *)c->scratch; }
INLINE int8_t *look_inputs(const head_draw_command *c) { return (int8_t *)(look_rows(c) + c->rows); }
INLINE size_t look_block_bytes(const head_draw_command *c) { return (size_t)look_groups(c) * LOOK_TOKENS * 4; }
INLINE float *short_input(const head_draw_command *c, int32_t row) {
  return (float *)(look_inputs(c) + look_blocks(c) * look_block_bytes(c)) + row * short_stride(c);
}
INLINE float *near_logits(const head_draw_command *c, int32_t row) {
  return short_input(c, c->rows) + row * near_stride(c);
}
INLINE look_peaks *peaks_of(const head_draw_command *c, int32_t row) {
  return (look_peaks *)near_logits(c, c->rows) + (size_t)row * peak_groups(c);
}
INLINE look_lists *lists_of(const head_draw_command *c, int32_t row) {
  return (look_lists *)peaks_of(c, c->rows) + row;
}
INLINE uint64_t *draw_scratch(const head_draw_command *c, int32_t row) {
  return (uint64_t *)lists_of(c, c->rows) + (size_t)row * SAMPLE_WORDS;
}

// The part of the command that is adjust-logits.
INLINE adjust_logits_command changes_of(const head_draw_command *c) {
  return (adjust_logits_command){.step = c->step,
                                 .index = c->index,
                                 .amounts = c->amounts,
                                 .bias_tokens = c->bias_tokens,
                                 .history = c->history,
                                 .mask = c->mask,
                                 .scratch = draw_scratch(c, c->rows),
                                 .rows = c->rows,
                                 .cols = vocabulary(c),
                                 .bias_count = c->bias_count,
                                 .capacity = c->capacity};
}

INLINE const int32_t *settings_of(const head_draw_command *c, int32_t row) {
  return c->settings + (size_t)row * SETTING_WORDS;
}
INLINE const int32_t *step_of(const head_draw_command *c, int32_t row) {
  return c->step + (size_t)c->index[row] * STEP_WORDS;
}

#endif
