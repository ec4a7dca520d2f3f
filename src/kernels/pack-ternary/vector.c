// Packs rows of ternary codes; see reference.ts, ternary/pack.ts and ternary/base3.ts.
#include "../c/kernel.h"
#include "../c/vec.h"

// Codes of weight 0 in all columns of a byte: what padding rows hold.
#define PADDING_2BIT 0x55555555u
#define PADDING_BASE3 0x79797979u

// Rows whose codes share lines in the order of columns.
#define PACK_PANEL 256
// Columns whose lines are put together at a time.
#define PACK_COLUMNS 128

typedef uint32_t u32x4 __attribute__((vector_size(16)));

enum { pack_ternary_phases = 1 };

static work_plan pack_ternary_plan(const pack_ternary_command *c, int32_t phase, int32_t threads) {
  (void)phase;
  const int32_t rows = c->out_order == ORDER_COLUMNS ? PACK_PANEL : 16;
  const int32_t first = c->first_row / rows, last = (c->first_row + c->rows - 1) / rows;
  return split_evenly(last - first + 1, threads);
}

// Sixteen columns of one row: column 4p + j goes to bits 2p of byte j.
INLINE uint32_t pack_lane(const int8_t *codes, int32_t n) {
  i8x16 v = {0};
  if (n >= 16) {
    v = *(const i8x16_any *)codes;
  } else {
    for (int32_t i = 0; i < n; i++) v[i] = codes[i];
  }
  const u32x4 words = (u32x4)(v + 1);
  return words[0] | words[1] << 2 | words[2] << 4 | words[3] << 6;
}

// Twenty columns of one row: columns 4p + j are the digits of byte j to the base 3.
INLINE uint32_t pack_base3_lane(const int8_t *codes, int32_t n) {
  uint32_t lane = 0;
  for (int32_t j = 0; j < 4; j++) {
    uint32_t value = 0;
    for (int32_t p = 4; p >= 0; p--) {
      const int32_t col = 4 * p + j;
      value = value * 3 + (col < n ? (uint32_t)(codes[col] + 1) : 0);
    }
    lane |= value << (8 * j);
  }
  return lane;
}

// Columns that are unpacked from I2_S at a time: whole blocks of 128, whole tiles of 16 and of 20.
#define I2S_COLUMNS 640

// Whole blocks of 128 codes from their 32 bytes; see unpackI2s in reference.ts.
INLINE void unpack_i2s(const uint8_t *bytes, int32_t columns, int8_t *codes) {
  for (int32_t col = 0; col < columns; col += 128, bytes += 32, codes += 128) {
    for (int32_t part = 0; part < 32; part += 16) {
      const u8x16 x = *(const u8x16_any *)(bytes + part);
      for (int32_t g = 0; g < 4; g++) {
        u8x16 code = (x >> (uint8_t)(6 - 2 * g)) & 3;
        code = code - (code & (code >> 1) & 1) * 2;  // the unused 3 becomes 1, weight 0
        *(i8x16_any *)(codes + part + 32 * g) = (i8x16)(code - 1);
      }
    }
  }
}

// Packs the tiles from `tile` on that hold `columns` columns. `codes` is the first row's first of them.
INLINE void pack_tiles(const pack_ternary_command *c, const int32_t base3, int32_t stripe, int32_t from, int32_t to,
                       int32_t tile, int32_t columns, const int8_t *codes, size_t stride) {
  const int32_t matrix_rows = c->out_rows, tile_cols = base3 ? 20 : 16;
  const int32_t tiles = (c->out_cols + tile_cols - 1) / tile_cols;
  // With the matrix's last row its padding is written too.
  const int32_t padded = to == matrix_rows ? stripe * 16 + 16 : to;
  // From row to row, and from tile to tile: in gated matrices, rows of `up` lie each for itself.
  const int32_t is_line = c->out_order == ORDER_GATED && stripe * 16 >= matrix_rows / 2;
  const size_t row_step = is_line ? (size_t)tiles : 1, tile_step = is_line ? 1 : 16;
  uint32_t *out = (uint32_t *)(c->out_data + (size_t)stripe * tiles * 64) + tile * tile_step;
  for (int32_t n = columns; n > 0; n -= tile_cols, codes += tile_cols, out += tile_step) {
    for (int32_t row = from; row < to; row++) {
      const int8_t *row_codes = codes + (size_t)(row - from) * stride;
      out[(row & 15) * row_step] = base3 ? pack_base3_lane(row_codes, n) : pack_lane(row_codes, n);
    }
    for (int32_t row = to; row < padded; row++) {
      out[(row & 15) * row_step] = base3 ? PADDING_BASE3 : PADDING_2BIT;
    }
  }
}

INLINE void pack_ternary_stripe(const pack_ternary_command *c, const int32_t base3, int32_t stripe) {
  const int32_t rows = c->rows, first_row = c->first_row, cols = c->out_cols, end_row = first_row + rows;
  const int32_t from = stripe * 16 < first_row ? first_row : stripe * 16;
  const int32_t to = stripe * 16 + 16 < end_row ? stripe * 16 + 16 : end_row;
  if (c->codes_type == CODES_INT8) {
    const int8_t *codes = (const int8_t *)c->codes + (size_t)(from - first_row) * cols;
    pack_tiles(c, base3, stripe, from, to, 0, cols, codes, (size_t)cols);
    return;
  }
  int8_t codes[16 * I2S_COLUMNS];
  for (int32_t col = 0; col < cols; col += I2S_COLUMNS) {
    const int32_t columns = cols - col < I2S_COLUMNS ? cols - col : I2S_COLUMNS;
    for (int32_t row = from; row < to; row++) {
      const size_t at = ((size_t)(row - first_row) * cols + col) / 4;
      unpack_i2s(c->codes + at, columns, codes + (row - from) * I2S_COLUMNS);
    }
    pack_tiles(c, base3, stripe, from, to, col / (base3 ? 20 : 16), columns, codes, I2S_COLUMNS);
  }
}

// A panel's rows of the piece, some columns at a time: their lines are read, changed and written.
static void pack_panel(const pack_ternary_command *c, int32_t panel) {
  const int32_t cols = c->out_cols, first_row = c->first_row, end_row = first_row + c->rows;
  const int32_t begin = panel * PACK_PANEL, end = begin + PACK_PANEL;
  const int32_t from = begin < first_row ? first_row : begin, to = end < end_row ? end : end_row;
  const int32_t padded = to == c->out_rows ? end : to;
  for (int32_t col = 0; col < cols; col += PACK_COLUMNS) {
    const int32_t columns = cols - col < PACK_COLUMNS ? cols - col : PACK_COLUMNS;
    uint8_t *lines = c->out_data + ((size_t)panel * cols + col) * 64;
    for (int32_t row = from; row < padded; row++) {
      const size_t at = (size_t)(row - first_row) * cols + col;
      const int32_t shift = (row - begin) / 64 * 2;
      uint8_t *byte = lines + row % 64;
      int8_t unpacked[PACK_COLUMNS] = {0};
      const int8_t *codes = unpacked;
      if (row < to && c->codes_type == CODES_INT8) codes = (const int8_t *)c->codes + at;
      else if (row < to) unpack_i2s(c->codes + at / 4, columns, unpacked);
      for (int32_t i = 0; i < columns; i++) {
        byte[i * 64] = (uint8_t)((byte[i * 64] & ~(3 << shift)) | (codes[i] + 1) << shift);
      }
    }
  }
}

static void pack_ternary_run(const pack_ternary_command *c, int32_t phase, int32_t first, int32_t last) {
  (void)phase;
  for (int32_t task = first; task < last; task++) {
    if (c->out_order == ORDER_COLUMNS) {
      pack_panel(c, c->first_row / PACK_PANEL + task);
      continue;
    }
    const int32_t stripe = (c->first_row >> 4) + task;
    if (c->out_packing == PACKING_BASE3) {
      pack_ternary_stripe(c, 1, stripe);
    } else {
      pack_ternary_stripe(c, 0, stripe);
    }
  }
}
