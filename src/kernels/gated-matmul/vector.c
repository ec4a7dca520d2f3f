// out = relu(gate)^2 * up, both products of W by q; see reference.ts, and ternary/orders.ts for the rows of W.
//
// A few tokens read only the rows of `up` whose gate is positive for one of them, four rows at a time. Such rows
// lie anywhere, and no processor guesses them: they are asked for as soon as their gates are known, and come
// while the next gates are computed. Of more tokens a task's gates come first; then a row meets those whose gate it
// is, four tokens at a time, where they are not many. A line of 16 words of a row meets 64 bytes of q for each
// of its planes: those are laid out first, in scratch, for each token (lines, planes, 16 words). Otherwise
// tokens get the rows as stripes, which the variant's product takes, and leave out what is closed after it.
#include "../c/dot-bytes.h"
#include "../ternary-matmul/ternary-matmul.h"

// Rows of a task: of a few tokens, and of more.
#define GATED_ROWS 64
#define STRIPED_ROWS (16 * TASK_STRIPES)
#if DOT_BYTES == 64
#define MOST_LAID_OUT LISTED_TOKENS
#else
#define MOST_LAID_OUT SPARSE_TOKENS
#endif

enum { gated_matmul_phases = 2 };

INLINE int32_t gated_tiles(const gated_matmul_command *c) {
  const int32_t tile_cols = c->weights_packing == PACKING_BASE3 ? 20 : 16;
  return (c->weights_cols + tile_cols - 1) / tile_cols;
}

// Whether q is laid out and rows are read one by one: the 1.6-bit ones only by variants that unpack them quickly.
INLINE int32_t is_laid_out(const gated_matmul_command *c) {
#ifndef HAS_BASE3
  if (c->weights_packing == PACKING_BASE3) return 0;
#endif
#ifdef TILED_TOKENS
  if (c->weights_packing != PACKING_BASE3 && c->rows >= TILED_TOKENS) return 0;
#endif
  return c->rows <= MOST_LAID_OUT;
}

INLINE int32_t is_few(const gated_matmul_command *c) { return c->rows <= SPARSE_TOKENS && is_laid_out(c); }

INLINE int8_t *planes_of(const gated_matmul_command *c, int32_t token) {
  return (int8_t *)c->scratch + (size_t)token * (((c->weights_cols + 15) & ~15) + LINE_PLANES_BYTES);
}

// Laying q out; gates and all that follows them.
static work_plan gated_matmul_plan(const gated_matmul_command *c, int32_t phase, int32_t threads) {
  const int32_t half = c->weights_rows / 2, few = is_few(c), rows = few ? GATED_ROWS : STRIPED_ROWS;
  if (phase == 0 && is_laid_out(c)) return few ? one_piece(c->rows) : split_evenly(c->rows, threads);
  if (phase == 0) return (work_plan){0, 1};
  return split_evenly((half + rows - 1) / rows, threads);
}

// The product of `count` rows, in stripes, to `out`, whose tokens are `stride` apart.
INLINE void rows_product(const gated_matmul_command *c, const uint8_t *stripes, int32_t first, int32_t count,
                         float *out, int32_t stride) {
  const ternary_matmul_command product = {
      .rows = c->rows,
      .x_q = c->x_q,
      .x_scales = c->x_scales,
      .x_sums = c->x_sums,
      .weights_rows = stride,
      .weights_cols = c->weights_cols,
      .weights_packing = c->weights_packing,
      .weights_data = stripes,
      .weights_scales = c->weights_scales + first,
      .out = out,
      .count = count,
  };
  product_of_stripes(&product, 0, (count + STRIPED_ROWS - 1) / STRIPED_ROWS);
}

// The gates of the rows [first, last), whole sixteens.
INLINE void gates_of(const gated_matmul_command *c, int32_t first, int32_t last) {
  const uint8_t *stripes = c->weights_data + (size_t)first * gated_tiles(c) * 4;
  rows_product(c, stripes, first, last - first, c->gate_up + first, c->weights_rows);
}

// q's words in the order in which lines meet them; words past the end are 0.
static void lay_out(const gated_matmul_command *c, const int32_t planes, int32_t token) {
  const int32_t tiles = gated_tiles(c), words = (c->weights_cols + 15) / 16 * 4;
  const int32_t *q = (const int32_t *)(c->x_q + (size_t)token * words * 4);
  int32_t *out = (int32_t *)planes_of(c, token);
  for (int32_t line = 0; line * 16 < tiles; line++, out += planes * 16) {
    for (int32_t t = 0; t < 16; t++) {
      for (int32_t p = 0; p < planes; p++) {
        const int32_t word = (line * 16 + t) * planes + p;
        out[p * 16 + t] = word < words ? q[word] : 0;
      }
    }
  }
}

// Lines whose dots a part holds: a line is 64 bytes of four planes each.
#define LINES_IN_PART (DOTS_IN_PART / (4 * 64 / DOT_BYTES))

// The code sums of four rows by one token.
INLINE void sums_of_four(const uint8_t *const rows[4], int32_t tiles, const int8_t *planes, int32_t sums[4]) {
  const dot_codes mask = (dot_codes){0} + 0x03030303u;
  const int32_t lines = (tiles + 15) / 16;
  dot_sums all[4];
  for (int32_t r = 0; r < 4; r++) all[r] = (dot_sums){0};
  for (int32_t start = 0; start < lines; start += LINES_IN_PART) {
    const int32_t end = lines - start < LINES_IN_PART ? lines : start + LINES_IN_PART;
    dot_part part[4][DOT_CHAINS];
    for (int32_t r = 0; r < 4; r++) {
      for (int32_t i = 0; i < DOT_CHAINS; i++) part[r][i] = (dot_part){0};
    }
    for (int32_t line = start; line < end; line++) {
      for (int32_t at = 0; at < 64; at += DOT_BYTES) {
        const int8_t *q = planes + (size_t)line * 256 + at;
        for (int32_t r = 0; r < 4; r++) {
          const dot_codes x = load_codes(rows[r] + (size_t)line * 64 + at);
          for (int32_t p = 0; p < 4; p++) {
            dot_part *sum = &part[r][p % DOT_CHAINS];
            *sum = add_dots(*sum, x >> (uint32_t)(2 * p) & mask, load_codes(q + 64 * p));
          }
        }
      }
    }
    for (int32_t r = 0; r < 4; r++) {
      for (int32_t i = 0; i < DOT_CHAINS; i++) all[r] = add_part(all[r], part[r][i]);
    }
  }
  sum_lanes_of_four(all, sums);
}

#ifdef HAS_BASE3
// The same of the 1.6-bit layout, whose fifth codes come as 81 times themselves.
typedef struct {
  __m512i sum, fifth;
} base3_sums;

INLINE void add_base3_line(const uint8_t *row, const int8_t *q, base3_sums *sums) {
  const __m512i low = _mm512_load_si512(base3_table), high = _mm512_load_si512(base3_table + 64);
  const __m512i mask = _mm512_set1_epi8(3);
  const base3_tile x = split_tile(row, low, high);
  for (int32_t p = 0; p < 4; p++) {
    const __m512i codes = _mm512_and_si512(_mm512_srli_epi32(x.quads, 2 * p), mask);
    sums->sum = _mm512_dpbusd_epi32(sums->sum, codes, _mm512_loadu_si512(q + 64 * p));
  }
  sums->fifth = _mm512_dpbusd_epi32(sums->fifth, x.fifth, _mm512_loadu_si512(q + 256));
}

INLINE dot_sums base3_total(const base3_sums *sums) {
  return (dot_sums)_mm512_add_epi32(sums->sum, exact_81st(sums->fifth));
}

INLINE void base3_sums_of_four(const uint8_t *const rows[4], int32_t tiles, const int8_t *planes, int32_t sums[4]) {
  base3_sums each[4] = {{{0}, {0}}, {{0}, {0}}, {{0}, {0}}, {{0}, {0}}};
  for (int32_t word = 0; word < tiles; word += 16, planes += 320) {
    for (int32_t r = 0; r < 4; r++) add_base3_line(rows[r] + (size_t)word * 4, planes, &each[r]);
  }
  dot_sums all[4];
  for (int32_t r = 0; r < 4; r++) all[r] = base3_total(&each[r]);
  sum_lanes_of_four(all, sums);
}
#endif

INLINE void product_of_four(const gated_matmul_command *c, const uint8_t *const rows[4], int32_t token,
                            int32_t sums[4]) {
#ifdef HAS_BASE3
  if (c->weights_packing == PACKING_BASE3) {
    base3_sums_of_four(rows, gated_tiles(c), planes_of(c, token), sums);
    return;
  }
#endif
  sums_of_four(rows, gated_tiles(c), planes_of(c, token), sums);
}

// What those of `count` rows are whose gate is open for a token.
INLINE void store_rows(const gated_matmul_command *c, int32_t token, const int32_t *row, int32_t count,
                       const int32_t sums[4]) {
  const int32_t half = c->weights_rows / 2;
  const float *gates = c->gate_up + (size_t)token * c->weights_rows;
  for (int32_t r = 0; r < count; r++) {
    const float gate = gates[row[r]];
    if (!(gate > 0)) continue;
    const float scale = c->x_scales[token] * c->weights_scales[half + row[r]];
    const float up = (float)(sums[r] - c->x_sums[token]) * scale, square = gate * gate;
    c->out[(size_t)token * half + row[r]] = square * up;
  }
}

// `count` open rows of the output, at most four.
static void open_rows(const gated_matmul_command *c, const int32_t *open, int32_t count) {
  const int32_t rows = c->weights_rows, half = rows / 2;
  const size_t row_bytes = (size_t)gated_tiles(c) * 4;
  const uint8_t *four[4];
  for (int32_t r = 0; r < 4; r++) four[r] = c->weights_data + (size_t)(half + open[r < count ? r : 0]) * row_bytes;
  for (int32_t token = 0; token < c->rows; token++) {
    const float *gates = c->gate_up + (size_t)token * rows;
    int32_t any = 0;
    for (int32_t r = 0; r < count; r++) any |= gates[open[r]] > 0;
    if (!any) continue;
    int32_t sums[4];
    product_of_four(c, four, token, sums);
    store_rows(c, token, open, count, sums);
  }
}

// Adds to `open`, behind `n`, those of sixteen rows that are open for some token, and asks for them. Writes one
// place more. Returns how many there are.
INLINE int32_t list_open(const gated_matmul_command *c, int32_t row, int32_t *open, int32_t n) {
  const int32_t rows = c->weights_rows, half = rows / 2;
  const size_t row_bytes = (size_t)gated_tiles(c) * 4;
  const uint8_t *up = c->weights_data + (size_t)half * row_bytes;
  i32x16 any = {0};
  for (int32_t token = 0; token < c->rows; token++) {
    any |= load16(c->gate_up + (size_t)token * rows + row) > all16(0.0f);
    store16(c->out + (size_t)token * half + row, all16(0.0f));
  }
  int32_t end = n;
  for (int32_t i = 0; i < LANES; i++) {
    open[end] = row + i;
    end -= any[i];
  }
  for (; n < end; n++) {
    for (size_t at = 0; at < row_bytes; at += 64) ask_for(up + (size_t)open[n] * row_bytes + at);
  }
  return end;
}

// The rows [first, last) of the output, whole sixteens: gates of some rows, then those rows of `up` that were
// asked for before.
static void rows_of_few(const gated_matmul_command *c, int32_t first, int32_t last) {
  int32_t open[last - first + 1], n = 0, done = 0;
  for (int32_t row = first; row < last; row += STRIPED_ROWS) {
    const int32_t end = row + STRIPED_ROWS < last ? row + STRIPED_ROWS : last, asked = n;
    gates_of(c, row, end);
    for (int32_t at = row; at < end; at += LANES) n = list_open(c, at, open, n);
    for (; asked - done >= 4; done += 4) open_rows(c, open + done, 4);
  }
  for (; done < n; done += 4) open_rows(c, open + done, n - done < 4 ? n - done : 4);
}

#ifdef HAS_ONE_TOKEN_PARTS
#include "one-token.h"
#else
#define rows_of_one rows_of_few
#endif

#include "many-tokens.h"

// Rows of a task of more than a few tokens, sixteen by sixteen.
static void rows_by_gates(const gated_matmul_command *c, int32_t row, int32_t end) {
#if DOT_BYTES == 64
  for (; is_laid_out(c) && row < end; row += 16) {
    if (!rows_of_open(c, row)) rows_of_many(c, row, row + 16);
  }
#endif
  if (row < end) rows_of_many(c, row, end);
}

static void gated_matmul_run(const gated_matmul_command *c, int32_t phase, int32_t first, int32_t last) {
  const int32_t half = c->weights_rows / 2, rows = is_few(c) ? GATED_ROWS : STRIPED_ROWS;
  const int32_t end = last * rows < half ? last * rows : half;
  if (phase == 0) {
    for (int32_t token = first; token < last; token++) {
      if (c->weights_packing == PACKING_BASE3) lay_out(c, 5, token);
      else lay_out(c, 4, token);
    }
  } else if (is_few(c)) {
    // All at once: each list ends with a wait for memory.
    if (c->rows == 1) rows_of_one(c, first * rows, end);
    else rows_of_few(c, first * rows, end);
  } else {
    for (int32_t row = first * rows; row < end; row += rows) {
      const int32_t after = row + rows < end ? row + rows : end;
      gates_of(c, row, after);
      rows_by_gates(c, row, after);
    }
  }
}
