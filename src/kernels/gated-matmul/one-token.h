// One token's gates and the open rows of `up`, in turns of a few tiles. A processor sees no further than some
// hundred instructions: while rows were multiplied that were asked for, nothing of the gates was on its way.
#ifndef BITNET_GATED_ONE_TOKEN_H
#define BITNET_GATED_ONE_TOKEN_H

// Tiles of gates in a turn.
#define TURN_TILES 8
// The share of open gates from which all rows of `up` are read, one after another: of 6,912 by 2,560, that is
// quicker from 0.41 on (Zen 4).
#define ALL_ROWS_SHARE 0.4f
// Bytes that are asked for ahead of them, which no processor does by itself at this pace.
#define ROWS_AHEAD_BYTES 5120

// Of 64 bytes of a row, a part of them: four codes a byte, each by its plane of q.
INLINE dot_part add_codes(dot_part sum, const uint8_t *row, const int8_t *q) {
  const dot_codes mask = (dot_codes){0} + 0x03030303u, x = load_codes(row);
  for (int32_t p = 0; p < 4; p++) sum = add_dots(sum, x >> (uint32_t)(2 * p) & mask, load_codes(q + 64 * p));
  return sum;
}

// A stripe of gates, and four rows of `up`, as far as they have been multiplied.
typedef struct {
  one_token_sums two_bit;
#ifdef HAS_BASE3
  base3_one_token_sums base3;
#endif
} stripe_in_turn;

typedef struct {
  const uint8_t *rows[4];
  int32_t line;
  dot_sums sums[4];
#ifdef HAS_BASE3
  base3_sums base3[4];
#endif
} rows_in_turn;

INLINE void add_tiles(const int32_t is_base3, stripe_in_turn *gates, const uint8_t *w, const int8_t *q, int32_t tiles) {
#ifdef HAS_BASE3
  if (is_base3) {
    add_base3_one_token(&gates->base3, w, q, tiles);
    return;
  }
#endif
  (void)is_base3;
  add_one_token(&gates->two_bit, w, q, tiles);
}

INLINE i32x16 code_sums_of(const int32_t is_base3, const stripe_in_turn *gates) {
#ifdef HAS_BASE3
  if (is_base3) return base3_one_token_total(&gates->base3);
#endif
  (void)is_base3;
  return one_token_total(&gates->two_bit);
}

INLINE void store_gates(const gated_matmul_command *c, int32_t row, i32x16 code_sums) {
  const ternary_matmul_command gates = {
      .x_scales = c->x_scales,
      .x_sums = c->x_sums,
      .weights_scales = c->weights_scales,
      .weights_rows = c->weights_rows,
      .out = c->gate_up,
      .count = c->weights_rows / 2,
  };
  store_stripe(&gates, 0, row / 16, code_sums);
}

INLINE void begin_rows(const gated_matmul_command *c, const int32_t *open, rows_in_turn *four) {
  const size_t row_bytes = (size_t)gated_tiles(c) * 4;
  const uint8_t *up = c->weights_data + (size_t)(c->weights_rows / 2) * row_bytes;
  *four = (rows_in_turn){.line = 0};
  for (int32_t r = 0; r < 4; r++) four->rows[r] = up + (size_t)open[r] * row_bytes;
}

INLINE void add_line(const int32_t is_base3, rows_in_turn *four, const int8_t *planes) {
  const size_t at = (size_t)four->line++;
#ifdef HAS_BASE3
  if (is_base3) {
    for (int32_t r = 0; r < 4; r++) add_base3_line(four->rows[r] + at * 64, planes + at * 320, &four->base3[r]);
    return;
  }
#endif
  (void)is_base3;
  dot_part part[4] = {{0}, {0}, {0}, {0}};
  for (size_t byte = 0; byte < 64; byte += DOT_BYTES) {
    for (int32_t r = 0; r < 4; r++) {
      part[r] = add_codes(part[r], four->rows[r] + at * 64 + byte, planes + at * 256 + byte);
    }
  }
  for (int32_t r = 0; r < 4; r++) four->sums[r] = add_part(four->sums[r], part[r]);
}

INLINE void end_rows(const int32_t is_base3, const gated_matmul_command *c, const int32_t *open, rows_in_turn *four) {
  int32_t sums[4];
#ifdef HAS_BASE3
  for (int32_t r = 0; r < 4 && is_base3; r++) four->sums[r] = base3_total(&four->base3[r]);
#endif
  (void)is_base3;
  sum_lanes_of_four(four->sums, sums);
  store_rows(c, 0, open, 4, sums);
}

// The lane sums of one row.
INLINE dot_sums sums_of_row(const int32_t is_base3, const uint8_t *row, int32_t lines, const int8_t *planes) {
#ifdef HAS_BASE3
  if (is_base3) {
    base3_sums sums = {{0}, {0}};
    for (int32_t line = 0; line < lines; line++) {
      ask_for(row + (size_t)line * 64 + ROWS_AHEAD_BYTES);
      add_base3_line(row + (size_t)line * 64, planes + (size_t)line * 320, &sums);
    }
    return base3_total(&sums);
  }
#endif
  (void)is_base3;
  dot_sums all = {0};
  for (int32_t start = 0; start < lines; start += LINES_IN_PART) {
    const int32_t end = lines - start < LINES_IN_PART ? lines : start + LINES_IN_PART;
    dot_part part = {0};
    for (int32_t line = start; line < end; line++) {
      ask_for(row + (size_t)line * 64 + ROWS_AHEAD_BYTES);
      for (int32_t at = 0; at < 64; at += DOT_BYTES) {
        part = add_codes(part, row + (size_t)line * 64 + at, planes + (size_t)line * 256 + at);
      }
    }
    all = add_part(all, part);
  }
  return all;
}

// All rows [first, last) of `up`, in the order of memory.
INLINE void all_rows(const int32_t is_base3, const gated_matmul_command *c, int32_t first, int32_t last) {
  const int32_t tiles = gated_tiles(c), lines = (tiles + 15) / 16;
  const uint8_t *up = c->weights_data + (size_t)(c->weights_rows / 2) * tiles * 4;
  for (int32_t row = first; row < last; row += LANES) store16(c->out + row, all16(0.0f));
  for (int32_t row = first; row < last; row += 4) {
    const int32_t four[4] = {row, row + 1, row + 2, row + 3};
    dot_sums all[4];
    int32_t sums[4];
    for (int32_t r = 0; r < 4; r++) {
      all[r] = sums_of_row(is_base3, up + (size_t)(row + r) * tiles * 4, lines, planes_of(c, 0));
    }
    sum_lanes_of_four(all, sums);
    store_rows(c, 0, four, 4, sums);
  }
}

// The rows [first, last) of the output, whole sixteens.
INLINE void rows_of_one_as(const int32_t is_base3, const gated_matmul_command *c, int32_t first, int32_t last) {
  int32_t open[last - first + 1], n = 0, done = 0, asked = 0;
  const int32_t tiles = gated_tiles(c), lines = (tiles + 15) / 16, tile_cols = is_base3 ? 20 : 16;
  const int8_t *planes = planes_of(c, 0);
  for (int32_t row = first; row < last; row += LANES) {
    const uint8_t *w = c->weights_data + (size_t)row * tiles * 4;
    stripe_in_turn gates = {0};
    rows_in_turn four = {.line = 0};
    // Rows that were asked for while the last stripe was computed, and their lines for each turn.
    int32_t groups = (asked - done) / 4;
    const int32_t turns = (tiles + TURN_TILES - 1) / TURN_TILES, share = (groups * lines + turns - 1) / turns;
    if (groups > 0) begin_rows(c, open + done, &four);
    for (int32_t tile = 0; tile < tiles; tile += TURN_TILES) {
      const int32_t count = tiles - tile < TURN_TILES ? tiles - tile : TURN_TILES;
      add_tiles(is_base3, &gates, w + (size_t)tile * 64, c->x_q + tile * tile_cols, count);
      for (int32_t i = 0; i < share && groups > 0; i++) {
        add_line(is_base3, &four, planes);
        if (four.line < lines) continue;
        end_rows(is_base3, c, open + done, &four);
        done += 4;
        if (--groups > 0) begin_rows(c, open + done, &four);
      }
    }
    store_gates(c, row, code_sums_of(is_base3, &gates));
    asked = n;
    n = list_open(c, row, open, n);
  }
  for (; done < n; done += 4) open_rows(c, open + done, n - done < 4 ? n - done : 4);
}

// Whether most of these gates were open: in the last layer that had this memory, as its share is likely to be near.
// Nothing but time hangs on it.
INLINE int32_t many_were_open(const gated_matmul_command *c, int32_t first, int32_t last) {
  i32x16 open = {0};
  for (int32_t row = first; row < last; row += LANES) open -= load16(c->gate_up + row) > all16(0.0f);
  int32_t count = 0;
  for (int32_t i = 0; i < LANES; i++) count += open[i];
  return (float)count > ALL_ROWS_SHARE * (float)(last - first);
}

static void rows_of_one(const gated_matmul_command *c, int32_t first, int32_t last) {
  const int32_t is_base3 = c->weights_packing == PACKING_BASE3;
  if (many_were_open(c, first, last)) {
    gates_of(c, first, last);
    if (is_base3) all_rows(1, c, first, last);
    else all_rows(0, c, first, last);
  } else if (is_base3) {
    rows_of_one_as(1, c, first, last);
  } else {
    rows_of_one_as(0, c, first, last);
  }
}
#endif
