// Rows of `up` for more than a few tokens: as stripes for all of them, or each for those whose gate it is.
#ifndef BITNET_GATED_MANY_TOKENS_H
#define BITNET_GATED_MANY_TOKENS_H

// The share of open gates up to which 16 rows meet their own tokens: with 1,536 rows by 512 columns, 64 tokens,
// that takes as long as stripes at 0.43, in 1.6 bits at 0.39 (Zen 4).
#define OPEN_SHARE 0.375f

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

#if DOT_BYTES == 64
// Sixteen words of each of sixteen rows, in four steps: two rows' words by turns, then two of them, four and eight.
INLINE void words_of_sixteen(const uint32_t *rows, size_t stride, uint32_t *out) {
  __m512i x[16], y[16];
  for (size_t r = 0; r < 16; r++) x[r] = _mm512_loadu_si512(rows + r * stride);
  for (int32_t r = 0; r < 16; r += 2) {
    y[r] = _mm512_unpacklo_epi32(x[r], x[r + 1]);
    y[r + 1] = _mm512_unpackhi_epi32(x[r], x[r + 1]);
  }
  // Register 4g + w: word w of each four, of the rows 4g to 4g + 3.
  for (int32_t r = 0; r < 16; r += 4) {
    x[r] = _mm512_unpacklo_epi64(y[r], y[r + 2]);
    x[r + 1] = _mm512_unpackhi_epi64(y[r], y[r + 2]);
    x[r + 2] = _mm512_unpacklo_epi64(y[r + 1], y[r + 3]);
    x[r + 3] = _mm512_unpackhi_epi64(y[r + 1], y[r + 3]);
  }
  for (int32_t w = 0; w < 4; w++) {
    __m512i word[4];
    turn_quarters(x[w], x[4 + w], x[8 + w], x[12 + w], word);
    for (int32_t i = 0; i < 4; i++) _mm512_storeu_si512(out + 16 * (4 * i + w), word[i]);
  }
}
#endif

// The words of 16 rows, which follow one another row by row, as a stripe.
INLINE void stripe_of_rows(const uint8_t *rows, int32_t tiles, uint8_t *stripe) {
  const uint32_t *from = (const uint32_t *)rows;
  uint32_t *out = (uint32_t *)stripe;
  int32_t tile = 0;
#if DOT_BYTES == 64
  for (; tile + 16 <= tiles; tile += 16) words_of_sixteen(from + tile, (size_t)tiles, out + (size_t)tile * 16);
#endif
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
#endif
