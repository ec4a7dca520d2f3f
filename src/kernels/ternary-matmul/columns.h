// The ternary product of a matrix in the order of columns (ternary/orders.ts). A few tokens read only the
// columns whose q is not 0, and so do more of them where that is little; else they get stripes made from the
// lines, which the variant's product takes.
//
// Scratch, for each token with a list: how many columns it reads, filled up to fours; their numbers; their q,
// four a word. What fills up is column 0 with a q of 0.
#ifndef BITNET_COLUMNS_H
#define BITNET_COLUMNS_H

#include "../c/dot-bytes.h"
#include "ternary-matmul.h"

// Columns that are asked for ahead of use.
#define COLUMNS_AHEAD 96
// Tasks of a slice of more than a few tokens: they share its lists, or a fourth of them makes stripes.
#define LIST_PARTS 16
// Tokens that get lists, and the share of all columns up to which those of more than a few are used: with 512
// rows by 1,536 columns, 64 tokens, they take as long as stripes at 0.48 (Zen 4).
#if DOT_BYTES == 64
#define MOST_LISTED LISTED_TOKENS
#else
#define MOST_LISTED SPARSE_TOKENS
#endif
#define LISTED_SHARE 0.45f
// Stripes that are made from lines at a time: rows of one plane.
#define MADE_STRIPES (DOT_BYTES / 16)
// Registers of a line.
#define LINE_SLICES (COLUMN_LINE_BYTES / DOT_BYTES)

typedef struct {
  int32_t count;
  int32_t *columns;
  uint32_t *q;
} column_list;

INLINE column_list list_of(const ternary_matmul_command *c, int32_t token) {
  const int32_t cols = c->weights_cols;
  int32_t *words = (int32_t *)c->scratch + (size_t)token * (cols + (cols >> 2) + 32);
  return (column_list){words[0], words + 1, (uint32_t *)(words + 1 + cols + 15)};
}

static void list_columns(const ternary_matmul_command *c, int32_t token) {
  const int32_t cols = c->weights_cols;
  const int8_t *q = c->x_q + (size_t)token * ((cols + 15) & ~15);
  const column_list list = list_of(c, token);
  int32_t *columns = list.columns, n = 0;
  int32_t col = 0;
#if DOT_BYTES == 64
  for (; col + 64 <= cols; col += 64) {
    const __m512i x = _mm512_loadu_si512(q + col);
    for (uint64_t some = _mm512_test_epi8_mask(x, x); some; some &= some - 1) {
      columns[n++] = col + (int32_t)__builtin_ctzll(some);
    }
  }
#else
  for (; col + 8 <= cols; col += 8) {
    const uint64_t eight = *(const uint64_t *)(q + col);
    if (eight == 0) continue;
    for (int32_t i = 0; i < 8; i++) {
      columns[n] = col + i;
      n += q[col + i] != 0;
    }
  }
#endif
  for (; col < cols; col++) {
    columns[n] = col;
    n += q[col] != 0;
  }
  const int32_t filled = (n + 3) & ~3;
  for (int32_t i = n; i < filled; i++) columns[i] = 0;
  int8_t *values = (int8_t *)list.q;
  for (int32_t i = 0; i < n; i++) values[i] = q[columns[i]];
  for (int32_t i = n; i < filled; i++) values[i] = 0;
  columns[-1] = filled;
}

// Asks for what comes COLUMNS_AHEAD behind `i` of a list; behind its end, for the first lines of the next panel.
// No `next`: another slice had the same lines.
INLINE void ask_ahead(const uint8_t *lines, const uint8_t *next, const column_list list, int32_t i) {
  if (!next) return;
  const int32_t ahead = i + COLUMNS_AHEAD, left = ahead - list.count;
  if (left < 0) ask_for(lines + (size_t)list.columns[ahead] * COLUMN_LINE_BYTES);
  else if (left < list.count) ask_for(next + (size_t)list.columns[left] * COLUMN_LINE_BYTES);
}

// The code sums of the rows whose codes lie in DOT_BYTES bytes of each line from `lines` on, plane by plane; for
// `next` see ask_ahead.
#ifdef HAS_WIDE_DOTS
// Planes whose sums stay in registers at a time.
#if DOT_BYTES == 64 || defined(__aarch64__)
#define PLANES_AT_ONCE 4
#else
#define PLANES_AT_ONCE 2
#endif

// Four columns are a lane's four products.
INLINE void column_sums(const uint8_t *lines, const uint8_t *next, const column_list list, int32_t *sums) {
  const dot_codes mask = (dot_codes){0} + 0x03030303u;
  for (int32_t plane = 0; plane < 4; plane += PLANES_AT_ONCE) {
    dot_sums sum[PLANES_AT_ONCE][4];
    for (int32_t p = 0; p < PLANES_AT_ONCE; p++) {
      for (int32_t k = 0; k < 4; k++) sum[p][k] = (dot_sums){0};
    }
    for (int32_t i = 0; i < list.count; i += 4) {
      dot_codes column[4], codes[4];
      for (int32_t k = 0; k < 4; k++) {
        if (plane == 0) ask_ahead(lines, next, list, i + k);
        column[k] = load_codes(lines + (size_t)list.columns[i + k] * COLUMN_LINE_BYTES);
      }
      zip_four(column, codes);
      const dot_codes q = (dot_codes){0} + list.q[i / 4];
      for (int32_t p = 0; p < PLANES_AT_ONCE; p++) {
        for (int32_t k = 0; k < 4; k++) {
          sum[p][k] = add_dots(sum[p][k], codes[k] >> (uint32_t)(2 * (plane + p)) & mask, q);
        }
      }
    }
    // Lane 4g + i of sum k is row 16g + 4k + i of the plane.
    for (int32_t p = 0; p < PLANES_AT_ONCE; p++) {
      int32_t *of_plane = sums + (plane + p) * DOT_BYTES;
      for (int32_t k = 0; k < 4; k++) {
        int32_t lane[DOT_LANES];
        *(dot_sums_any *)lane = sum[p][k];
        for (int32_t g = 0; g < DOT_BYTES / 16; g++) {
          for (int32_t j = 0; j < 4; j++) of_plane[16 * g + 4 * k + j] = lane[4 * g + j];
        }
      }
    }
  }
}
#else
// Two columns by their q, the two bytes of each 16 bits of `q`: lane 8g + i of part[h] has row 16g + 8h + i.
#if defined(__AVX2__) || defined(__wasm_relaxed_simd__)
INLINE void pair_of_columns(dot_codes *a, dot_codes *b) { zip_bytes(*a, *b, a, b); }

INLINE void add_pair(dot_part part[2], dot_codes low, dot_codes high, uint32_t q) {
  const dot_codes both = (dot_codes){0} + (q & 0xffff) * 0x10001u;
  part[0] = add_dots(part[0], low, both);
  part[1] = add_dots(part[1], high, both);
}
#else
INLINE void pair_of_columns(dot_codes *a, dot_codes *b) { (void)a, (void)b; }

INLINE void add_pair(dot_part part[2], dot_codes a, dot_codes b, uint32_t q) {
  const dot_codes first = (dot_codes){0} + (q & 0xff) * 0x1010101u;
  const dot_codes second = (dot_codes){0} + (q >> 8 & 0xff) * 0x1010101u;
  part[0] += low_products(a, first) + low_products(b, second);
  part[1] += high_products(a, first) + high_products(b, second);
}
#endif

// Rows are lanes of 16 bits, which hold DOTS_IN_PART pairs of columns.
INLINE void column_sums(const uint8_t *lines, const uint8_t *next, const column_list list, int32_t *sums) {
  const dot_codes mask = (dot_codes){0} + 0x03030303u;
  const int32_t most = DOTS_IN_PART / 2 * 4;
  for (int32_t row = 0; row < 4 * DOT_BYTES; row++) sums[row] = 0;
  for (int32_t start = 0; start < list.count; start += most) {
    const int32_t end = list.count - start < most ? list.count : start + most;
    dot_part part[4][2];
    for (int32_t plane = 0; plane < 4; plane++) part[plane][0] = part[plane][1] = (dot_part){0};
    for (int32_t i = start; i < end; i += 2) {
      for (int32_t k = 0; k < 2; k++) ask_ahead(lines, next, list, i + k);
      dot_codes a = load_codes(lines + (size_t)list.columns[i] * COLUMN_LINE_BYTES);
      dot_codes b = load_codes(lines + (size_t)list.columns[i + 1] * COLUMN_LINE_BYTES);
      const uint32_t q = list.q[i / 4] >> (uint32_t)(i % 4 * 8);
      pair_of_columns(&a, &b);
      for (int32_t plane = 0; plane < 4; plane++) {
        const uint32_t shift = (uint32_t)(2 * plane);
        add_pair(part[plane], a >> shift & mask, b >> shift & mask, q);
      }
    }
    for (int32_t plane = 0; plane < 4; plane++) {
      for (int32_t h = 0; h < 2; h++) {
        int16_t lane[DOT_BYTES / 2] __attribute__((aligned(DOT_BYTES)));
        *(dot_part *)lane = part[plane][h];
        for (int32_t j = 0; j < DOT_BYTES / 2; j++) {
          sums[plane * DOT_BYTES + j / 8 * 16 + h * 8 + j % 8] += lane[j];
        }
      }
    }
  }
}
#endif

// The lines of a panel, slice by slice, for tokens from `first` on. `next` is the panel that comes after it.
static void columns_by_lists(const ternary_matmul_command *c, int32_t panel, int32_t next, int32_t first, int32_t last) {
  const size_t panel_bytes = (size_t)c->weights_cols * COLUMN_LINE_BYTES;
  for (int32_t slice = 0; slice < LINE_SLICES; slice++) {
    const uint8_t *lines = c->weights_data + panel * panel_bytes + slice * DOT_BYTES;
    const uint8_t *after = slice == 0 ? c->weights_data + next * panel_bytes : NULL;
    for (int32_t token = first; token < last; token++) {
      int32_t sums[4 * DOT_BYTES] __attribute__((aligned(64)));
      column_sums(lines, after, list_of(c, token), sums);
      for (int32_t plane = 0; plane < 4; plane++) {
        const int32_t row = panel * COLUMN_PANEL_ROWS + 64 * plane + slice * DOT_BYTES;
        for (int32_t r = 0; r < DOT_BYTES && row + r < c->count; r += 16) {
          store_stripe(c, token, (row + r) / 16, *(const i32x16 *)(sums + plane * DOT_BYTES + r));
        }
      }
    }
  }
}

// Each byte's codes of one plane, where they belong as those of column group p.
INLINE dot_codes codes_in_place(const uint8_t *line, const int32_t plane, const int32_t p) {
  const dot_codes x = load_codes(line), mask = (dot_codes){0} + 0x03030303u;
  const uint32_t down = plane > p ? 2u * (uint32_t)(plane - p) : 0, up = p > plane ? 2u * (uint32_t)(p - plane) : 0;
  return x >> down << up & mask << 2u * (uint32_t)p;
}

// MADE_STRIPES stripes of one plane from a slice of a panel's lines: of 16 columns, each byte is a row's codes
// of four of them. `plane` is a constant to the compiler.
INLINE void stripes_of_plane(const uint8_t *lines, int32_t cols, const int32_t plane, uint8_t *stripes) {
  const int32_t tiles = (cols + 15) / 16;
  for (int32_t tile = 0; tile < tiles; tile++, lines += 16 * COLUMN_LINE_BYTES) {
    const int32_t left = cols - 16 * tile;
    dot_codes bytes[4], lanes[4];
    for (int32_t j = 0; j < 4; j++) {
      bytes[j] = (dot_codes){0};
      for (int32_t p = 0; p < 4; p++) {
        const int32_t col = 4 * p + j;
        if (col < left) bytes[j] |= codes_in_place(lines + (size_t)col * COLUMN_LINE_BYTES, plane, p);
      }
    }
    zip_four(bytes, lanes);
#if DOT_BYTES == 64
    __m512i of[MADE_STRIPES];
    turn_quarters((__m512i)lanes[0], (__m512i)lanes[1], (__m512i)lanes[2], (__m512i)lanes[3], of);
    for (int32_t g = 0; g < MADE_STRIPES; g++) _mm512_storeu_si512(stripes + ((size_t)g * tiles + tile) * 64, of[g]);
#else
    for (int32_t k = 0; k < 4; k++) {
      uint8_t part[DOT_BYTES] __attribute__((aligned(DOT_BYTES)));
      *(dot_codes *)part = lanes[k];
      for (int32_t g = 0; g < MADE_STRIPES; g++) {
        *(u8x16_any *)(stripes + ((size_t)g * tiles + tile) * 64 + 16 * k) = *(const u8x16 *)(part + 16 * g);
      }
    }
#endif
  }
}

INLINE void make_stripes(const uint8_t *lines, int32_t cols, int32_t plane, uint8_t *stripes) {
  if (plane == 0) stripes_of_plane(lines, cols, 0, stripes);
  else if (plane == 1) stripes_of_plane(lines, cols, 1, stripes);
  else if (plane == 2) stripes_of_plane(lines, cols, 2, stripes);
  else stripes_of_plane(lines, cols, 3, stripes);
}

INLINE int32_t column_panels(const ternary_matmul_command *c) {
  return (c->count + COLUMN_PANEL_ROWS - 1) / COLUMN_PANEL_ROWS;
}

INLINE int32_t have_lists(const ternary_matmul_command *c) {
#ifdef TILED_TOKENS
  if (c->rows >= TILED_TOKENS) return 0;
#endif
  return c->rows <= MOST_LISTED;
}

// Whether all lists together are worth their way. Tasks ask, not the plan: a thread that comes late would
// read scratch that belongs to the next command already.
INLINE int32_t lists_are_short(const ternary_matmul_command *c) {
  if (!have_lists(c)) return 0;
  int64_t listed = 0;
  for (int32_t token = 0; token < c->rows; token++) listed += list_of(c, token).count;
  return (float)listed <= LISTED_SHARE * (float)c->rows * (float)c->weights_cols;
}

// The tasks of a few tokens: panels, of which a thread takes several, as it asks for the next one while it has one.
// Of more: parts of slices, which are tokens or planes.
static work_plan columns_plan(const ternary_matmul_command *c, int32_t phase, int32_t threads) {
  const int32_t panels = column_panels(c);
  if (phase == 0) return !have_lists(c) ? (work_plan){0, 1} : c->rows < 4 ? one_piece(c->rows) : split_evenly(c->rows, threads);
  if (c->rows <= SPARSE_TOKENS) return (work_plan){panels, (panels + threads - 1) / threads};
  return split_evenly(LIST_PARTS * LINE_SLICES * panels, threads);
}

static void columns_run(const ternary_matmul_command *c, int32_t phase, int32_t first, int32_t last) {
  const int32_t cols = c->weights_cols, tiles = (cols + 15) / 16, tokens = c->rows;
  if (phase == 0) {
    for (int32_t token = first; token < last; token++) list_columns(c, token);
    return;
  }
  if (tokens <= SPARSE_TOKENS) {
    for (int32_t panel = first; panel < last; panel++) {
      columns_by_lists(c, panel, panel + 1 < last ? panel + 1 : panel, 0, tokens);
    }
    return;
  }
  const int32_t are_short = lists_are_short(c);
  uint8_t stripes[(size_t)MADE_STRIPES * tiles * 64] __attribute__((aligned(64)));
  for (int32_t task = first; task < last; task++) {
    const int32_t at = task / LIST_PARTS, part = task % LIST_PARTS, panel = at / LINE_SLICES, slice = at % LINE_SLICES;
    if (are_short) {
      if (slice == 0) columns_by_lists(c, panel, panel, tokens * part / LIST_PARTS, tokens * (part + 1) / LIST_PARTS);
      continue;
    }
    if (part % 4 != 0) continue;
    const int32_t plane = part / 4, row = panel * COLUMN_PANEL_ROWS + 64 * plane + slice * DOT_BYTES;
    if (row >= c->count) continue;
    const int32_t left = c->count - row;
    make_stripes(c->weights_data + (size_t)panel * cols * COLUMN_LINE_BYTES + slice * DOT_BYTES, cols, plane, stripes);
    striped_product(c, row, left < DOT_BYTES ? left : DOT_BYTES, stripes);
  }
}

#endif
