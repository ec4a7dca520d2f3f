// The head and the draw behind it; see reference.ts.
//
// Where a variant multiplies int8 much faster than floats it has a look first: int8 products say of each logit
// within which bounds it is. Only those that may decide the draw are computed exactly, as dense-matmul has them.
#include "head-draw.h"
#ifdef HEAD_LOOK
#include "look.h"
#endif

// Stripes of a task of the exact products, and rows that share a stripe's weights.
#define EXACT_STRIPES 16
#define EXACT_ROWS 8

enum { head_draw_phases = 5 };

static work_plan head_draw_plan(const head_draw_command *c, int32_t phase, int32_t threads) {
  switch (phase) {
#ifdef HEAD_LOOK
    case 1:
      if (!c->look_data) return one_piece(0);
      return split_evenly((draw_stripes(c) + LOOK_STRIPES - 1) / LOOK_STRIPES, threads);
    case 2:
      return split_evenly(c->rows, threads);
#else
    case 1:
    case 2:
      return one_piece(0);
#endif
    case 3:
      return split_evenly((draw_stripes(c) + EXACT_STRIPES - 1) / EXACT_STRIPES, threads);
    default:
      return split_evenly(c->rows, threads);
  }
}

static void prepare_row(const head_draw_command *c, int32_t row) {
  const int32_t cols = c->weights_cols;
  const float *x = c->x + (size_t)row * cols;
  float *to = short_input(c, row);
  for (int32_t col = 0; col < cols; col += LANES) {
    store16(to + col, short16(load_first(x + col, cols - col)));
  }
  look_row *own = look_rows(c) + row;
  own->kind = DRAW_ALL;
  own->count = own->listed = 0;
#ifdef HEAD_LOOK
  if (c->look_data) own->kind = kind_of_draw(settings_of(c, row), vocabulary(c));
  quantize_input(c, row);
#endif
}

// The logits of a stripe for `rows` rows, as dense-matmul sums them.
INLINE void exact_block(const head_draw_command *c, const int32_t rows, const int32_t *which, int32_t stripe,
                        f32x16 *sums) {
  const int32_t cols = c->weights_cols;
  const uint16_t *w = (const uint16_t *)c->weights_data + (size_t)stripe * cols * 16;
  const float *x[EXACT_ROWS];
  for (int32_t i = 0; i < rows; i++) {
    x[i] = short_input(c, which[i]);
    sums[i] = all16(0.0f);
  }
  for (int32_t col = 0; col < cols; col++) {
    // Of the next stripe, which some row wants, mostly.
    if (!(col & 1)) __builtin_prefetch(w + (size_t)(cols + col) * 16, 0, 2);
    const f32x16 own = load_f16(w + (size_t)col * 16);
    for (int32_t i = 0; i < rows; i++) sums[i] = add_exact(sums[i], own, all16(x[i][col]));
  }
}

// The exact logits of a stripe, for up to EXACT_ROWS rows that want some of them; `next` says of each which of its
// tokens is next.
static void exact_rows(const head_draw_command *c, const int32_t *which, int32_t rows, int32_t stripe, int32_t *next) {
  f32x16 sums[EXACT_ROWS];
#define PRODUCT(n, first) exact_block(c, n, which + (first), stripe, sums)
  EACH_TOKEN_BLOCK(EXACT_ROWS, rows, PRODUCT);
#undef PRODUCT
  for (int32_t i = 0; i < rows; i++) {
    const int32_t row = which[i];
    const look_row *own = look_rows(c) + row;
    if (own->kind == DRAW_ALL) {
      store16(near_logits(c, row) + stripe * 16, sums[i]);
      continue;
    }
    look_lists *lists = lists_of(c, row);
    for (int32_t n = next[row]; n < own->count && lists->tokens[n] / 16 == stripe; n++) {
      lists->logits[n] = sums[i][lists->tokens[n] % 16];
      next[row] = n + 1;
    }
  }
}

// The first of a row's tokens that is not below `token`.
static int32_t first_from(const head_draw_command *c, int32_t row, int32_t token) {
  const int32_t *tokens = lists_of(c, row)->tokens;
  int32_t from = 0, to = look_rows(c)[row].count;
  while (from < to) {
    const int32_t middle = (from + to) / 2;
    if (tokens[middle] < token) from = middle + 1;
    else to = middle;
  }
  return from;
}

static void exact_products(const head_draw_command *c, int32_t first, int32_t last) {
  int32_t next[MAX_DRAWN_ROWS];
  for (int32_t row = 0; row < c->rows; row++) next[row] = first_from(c, row, first * 16);
  for (int32_t stripe = first; stripe < last; stripe++) {
    int32_t which[EXACT_ROWS], n = 0;
    for (int32_t row = 0; row < c->rows; row++) {
      const look_row *own = look_rows(c) + row;
      const int32_t at = next[row];
      const int32_t wants = own->kind == DRAW_ALL ||
                            (at < own->count && lists_of(c, row)->tokens[at] / 16 == stripe);
      which[n] = row;
      n += wants;
      if (n < EXACT_ROWS) continue;
      exact_rows(c, which, n, stripe, next);
      n = 0;
    }
    if (n > 0) exact_rows(c, which, n, stripe, next);
  }
}

static void draw_row(const head_draw_command *c, int32_t row) {
  const look_row *own = look_rows(c) + row;
  const adjust_logits_command changes = changes_of(c);
  look_lists *lists = lists_of(c, row);
  float *near = near_logits(c, row);
  const int32_t *settings = settings_of(c, row), *step = step_of(c, row);
  if (own->kind == DRAW_ALL) {
    change_row(&changes, row, near, NULL);
    if (c->mask) mask_row(&changes, row, near);
    c->tokens[row] = draw_token(near, NULL, vocabulary(c), settings, step, draw_scratch(c, row));
    return;
  }
  if (own->listed > 0) {
    // What is not drawn from may be changed, too: any number will do.
    float *changed = lists->least;
    for (int32_t i = 0; i < own->count; i++) {
      const int32_t place = place_of(near[lists->tokens[i]]);
      if (place >= 0) changed[place] = lists->logits[i];
    }
    change_row(&changes, row, changed, near);
    for (int32_t i = 0; i < own->count; i++) {
      const int32_t place = place_of(near[lists->tokens[i]]);
      if (place >= 0) lists->logits[i] = changed[place];
    }
  }
  c->tokens[row] = draw_token(lists->logits, lists->tokens, own->count, settings, step, draw_scratch(c, row));
}

static void head_draw_run(const head_draw_command *c, int32_t phase, int32_t first, int32_t last) {
  const int32_t stripes = draw_stripes(c);
  for (int32_t task = first; task < last; task++) {
    switch (phase) {
      case 0:
        prepare_row(c, task);
        break;
#ifdef HEAD_LOOK
      case 1:
        look_task(c, task * LOOK_STRIPES, stripes);
        break;
      case 2:
        choose_tokens(c, task);
        break;
#endif
      case 3: {
        const int32_t end = (task + 1) * EXACT_STRIPES;
        exact_products(c, task * EXACT_STRIPES, end < stripes ? end : stripes);
        break;
      }
      default:
        draw_row(c, task);
    }
  }
}
