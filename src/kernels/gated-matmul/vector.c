// out = relu(gate)^2 * up, both products of W by q; see reference.ts, and ternary/orders.ts for the rows of W.
//
// A few tokens read only the rows of `up` whose gate is positive for one of them, four rows at a time. Such rows
// lie anywhere, and no processor guesses them: they are asked for as soon as their gates are known, and come
// while the next gates are computed. Of more tokens all gates come first; then a row meets those whose gate it
// is, four tokens at a time, where they are not many. A line of 16 words of a row meets 64 bytes of q for each
// of its planes: those are laid out first, in scratch, for each token (lines, planes, 16 words). Otherwise
// tokens get the rows as stripes, which the variant's product takes, and leave out what is closed after it.
#include "../c/dot-bytes.h"
#include "../ternary-matmul/ternary-matmul.h"

// Rows of a task: of a few tokens, and of more.
#define GATED_ROWS 64
#define STRIPED_ROWS (16 * TASK_STRIPES)
// The share of open gates up to which 16 rows meet their own tokens: with 1,536 rows by 512 columns, 64 tokens,
// that takes as long as stripes at 0.43, in 1.6 bits at 0.39 (Zen 4).
#define OPEN_SHARE 0.375f
#if DOT_BYTES == 64
#define MOST_LAID_OUT LISTED_TOKENS
#else
#define MOST_LAID_OUT SPARSE_TOKENS
#endif

enum { gated_matmul_phases = 3 };

INLINE int32_t gated_tiles(const gated_matmul_command *c) {
  const int32_t tile_cols = c->weights_packing == PACKING_BASE3 ? 20 : 16;
  return (c->weights_cols + tile_cols - 1) / tile_cols;
}

// Whether q is laid out and rows are read one by one: the 1.6-bit ones only by variants that unpack them quickly.
INLINE int32_t is_laid_out(const gated_matmul_command *c) {
#ifndef HAS_BASE3
  if (c->weights_packing == PACKING_BASE3) return 0;
#endif
  return c->rows <= MOST_LAID_OUT;
}

INLINE int32_t is_few(const gated_matmul_command *c) { return c->rows <= SPARSE_TOKENS && is_laid_out(c); }

INLINE int8_t *planes_of(const gated_matmul_command *c, int32_t token) {
  return (int8_t *)c->scratch + (size_t)token * (((c->weights_cols + 15) & ~15) + LINE_PLANES_BYTES);
}

// Laying q out; gates, and of a few tokens all that follows them; the rest of more tokens.
static work_plan gated_matmul_plan(const gated_matmul_command *c, int32_t phase, int32_t threads) {
  const int32_t half = c->weights_rows / 2, few = is_few(c), rows = few ? GATED_ROWS : STRIPED_ROWS;
  if (phase == 0 && is_laid_out(c)) return few ? one_piece(c->rows) : split_evenly(c->rows, threads);
  if (phase == 0 || (phase == 2 && few)) return (work_plan){0, 1};
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

typedef uint32_t u32x4 __attribute__((vector_size(16)));
typedef uint32_t u32x4_any __attribute__((vector_size(16), aligned(4), may_alias));

// Four words of each of four rows, `stride` words apart: what was a row is a lane, of words 16 apart.
INLINE void words_of_four(const uint32_t *rows, size_t stride, uint32_t *out) {
  u32x4 x[4];
  for (int32_t r = 0; r < 4; r++) x[r] = *(const u32x4_any *)(rows + r * stride);
  const u32x4 a = __builtin_shufflevector(x[0], x[1], 0, 4, 1, 5), b = __builtin_shufflevector(x[2], x[3], 0, 4, 1, 5);
  const u32x4 c = __builtin_shufflevector(x[0], x[1], 2, 6, 3, 7), d = __builtin_shufflevector(x[2], x[3], 2, 6, 3, 7);
  *(u32x4_any *)out = __builtin_shufflevector(a, b, 0, 1, 4, 5);
  *(u32x4_any *)(out + 16) = __builtin_shufflevector(a, b, 2, 3, 6, 7);
  *(u32x4_any *)(out + 32) = __builtin_shufflevector(c, d, 0, 1, 4, 5);
  *(u32x4_any *)(out + 48) = __builtin_shufflevector(c, d, 2, 3, 6, 7);
}

// The words of 16 rows, which follow one another row by row, as a stripe.
INLINE void stripe_of_rows(const uint8_t *rows, int32_t tiles, uint8_t *stripe) {
  const uint32_t *from = (const uint32_t *)rows;
  uint32_t *out = (uint32_t *)stripe;
  int32_t tile = 0;
  for (; tile + 4 <= tiles; tile += 4) {
    for (int32_t r = 0; r < 16; r += 4) words_of_four(from + (size_t)r * tiles + tile, (size_t)tiles, out + tile * 16 + r);
  }
  for (; tile < tiles; tile++) {
    for (int32_t r = 0; r < 16; r++) out[tile * 16 + r] = from[(size_t)r * tiles + tile];
  }
}

// The same for more tokens: the product first, then its gates.
static void rows_of_many(const gated_matmul_command *c, int32_t first, int32_t last) {
  const int32_t rows = c->weights_rows, half = rows / 2, tiles = gated_tiles(c), count = last - first;
  uint8_t stripes[(size_t)TASK_STRIPES * tiles * 64] __attribute__((aligned(64)));
  for (int32_t row = first; row < last; row += 16) {
    stripe_of_rows(c->weights_data + (size_t)(half + row) * tiles * 4, tiles, stripes + (size_t)(row - first) * tiles * 4);
  }
  rows_product(c, stripes, half + first, count, c->out + first, half);
  for (int32_t token = 0; token < c->rows; token++) {
    const float *gates = c->gate_up + (size_t)token * rows + first;
    float *out = c->out + (size_t)token * half + first;
    for (int32_t r = 0; r < count; r += LANES) {
      const f32x16 gate = load16(gates + r);
      const i32x16 is_open = gate > all16(0.0f);
      store16(out + r, (f32x16)((i32x16)(gate * gate * load16(out + r)) & is_open));
    }
  }
}

#if DOT_BYTES == 64
// A row's codes in the order in which q is laid out. @returns their bytes
INLINE int32_t unpack_row(const gated_matmul_command *c, const uint8_t *row, uint8_t *codes) {
  const dot_codes mask = (dot_codes){0} + 0x03030303u;
  const int32_t lines = (gated_tiles(c) + 15) / 16;
#ifdef HAS_BASE3
  if (c->weights_packing == PACKING_BASE3) {
    const __m512i low = _mm512_load_si512(base3_table), high = _mm512_load_si512(base3_table + 64);
    for (int32_t line = 0; line < lines; line++, row += 64, codes += 320) {
      const base3_tile x = split_tile(row, low, high);
      for (uint32_t p = 0; p < 4; p++) store_codes(codes + 64 * p, (dot_codes)x.quads >> (2 * p) & mask);
      // 81 and 162 are 1 and 2 without their lower bits.
      store_codes(codes + 256, (dot_codes)x.fifth >> 6u & mask);
    }
    return lines * 320;
  }
#endif
  for (int32_t line = 0; line < lines; line++, row += 64, codes += 256) {
    const dot_codes x = load_codes(row);
    for (uint32_t p = 0; p < 4; p++) store_codes(codes + 64 * p, x >> (2 * p) & mask);
  }
  return lines * 256;
}

// The code sums of one row by four tokens.
INLINE void sums_of_tokens(const uint8_t *codes, const int8_t *const q[4], int32_t bytes, int32_t sums[4]) {
  dot_sums all[4];
  for (int32_t t = 0; t < 4; t++) all[t] = (dot_sums){0};
  for (int32_t at = 0; at < bytes; at += 64) {
    const dot_codes x = load_codes(codes + at);
    for (int32_t t = 0; t < 4; t++) all[t] = add_dots(all[t], x, load_codes(q[t] + at));
  }
  sum_lanes_of_four(all, sums);
}

// Sixteen rows of the output, each by the tokens whose gate it is. Returns 0, and writes nothing, if these are
// too many.
static int32_t rows_of_open(const gated_matmul_command *c, int32_t row) {
  const int32_t rows = c->weights_rows, half = rows / 2, tokens = c->rows;
  const size_t row_bytes = (size_t)gated_tiles(c) * 4;
  // Of each token the rows that are open for it.
  uint16_t open[LISTED_TOKENS] __attribute__((aligned(64))) = {0};
  f32x16 gates[LISTED_TOKENS];  // kept, as those of all tokens lie in few sets of the cache
  int32_t count = 0;
  for (int32_t token = 0; token < tokens; token++) {
    gates[token] = load16(c->gate_up + (size_t)token * rows + row);
    open[token] = (uint16_t)_mm512_movepi32_mask((__m512i)(gates[token] > all16(0.0f)));
    count += __builtin_popcount(open[token]);
  }
  if ((float)count > OPEN_SHARE * 16 * (float)tokens) return 0;
  uint8_t codes[(size_t)(c->weights_cols + 15) / 16 * 16 + LINE_PLANES_BYTES] __attribute__((aligned(64)));
  i32x16 sums[LISTED_TOKENS];
  for (int32_t token = 0; token < tokens; token++) sums[token] = (i32x16){0};
  for (int32_t r = 0; r < 16; r++) {
    int32_t list[LISTED_TOKENS + 3], n = 0;
    for (int32_t from = 0; from < tokens; from += 32) {
      const __m512i some = _mm512_load_si512(open + from);
      uint32_t bits = _mm512_test_epi16_mask(some, _mm512_set1_epi16((int16_t)(1 << r)));
      for (; bits; bits &= bits - 1) list[n++] = from + __builtin_ctz(bits);
    }
    if (n == 0) continue;
    for (int32_t i = 0; i < 3; i++) list[n + i] = list[n - 1];
    const int32_t bytes = unpack_row(c, c->weights_data + (size_t)(half + row + r) * row_bytes, codes);
    for (int32_t i = 0; i < n; i += 4) {
      const int8_t *q[4];
      int32_t four[4];
      for (int32_t t = 0; t < 4; t++) q[t] = planes_of(c, list[i + t]);
      sums_of_tokens(codes, q, bytes, four);
      for (int32_t t = 0; t < 4; t++) ((int32_t *)&sums[list[i + t]])[r] = four[t];
    }
  }
  const f32x16 row_scales = load16(c->weights_scales + half + row);
  for (int32_t token = 0; token < tokens; token++) {
    const f32x16 gate = gates[token];
    const i32x16 is_open = gate > all16(0.0f);
    const f32x16 up = __builtin_convertvector(sums[token] - c->x_sums[token], f32x16) * (c->x_scales[token] * row_scales);
    store16(c->out + (size_t)token * half + row, (f32x16)((i32x16)(gate * gate * up) & is_open));
  }
  return 1;
}
#endif

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
  } else if (phase == 1) {
    gates_of(c, first * rows, end);
  } else {
    for (int32_t row = first * rows; row < end; row += rows) {
      rows_by_gates(c, row, row + rows < end ? row + rows : end);
    }
  }
}
