// The ternary product with AMX tiles, for prompts and batches; a few tokens go the way of
// x86-avx512vnni.c, which reads memory as fast and needs no unpacked copy.
//
// A tile of the packed layout is four rows of what tdpbsud takes as its second operand: 16 rows of W in
// 16 lanes, four neighbouring columns each. Four tiles, 64 columns, make one tile register; the
// activations of 16 tokens, as they lie, are the other. The result has a row a token and a lane a row.
#include <immintrin.h>

#include "ternary-matmul.h"

// Tokens from which unpacking a stripe pays.
#define AMX_TOKENS 16
// A stripe's codes as bytes lie on the stack while it is worked on: 16 bytes a column.
#define AMX_MAX_COLS 32768
// Columns of one tile register.
#define AMX_COLS 64

typedef struct {
  uint8_t palette, start_row, reserved[14];
  uint16_t bytes_per_row[16];
  uint8_t rows[16];
} tile_config;

// All eight registers are 16 rows of 64 bytes.
INLINE void configure_tiles(void) {
  tile_config config = {.palette = 1};
  for (int32_t i = 0; i < 8; i++) {
    config.bytes_per_row[i] = 64;
    config.rows[i] = 16;
  }
  _tile_loadconfig(&config);
}

// The codes of a stripe, a byte each, in groups of four columns; columns past the end are zero, so that
// whatever activations stand there do not count.
INLINE void unpack_stripe(const uint8_t *w, int32_t tiles, int32_t blocks, uint8_t *codes) {
  const __m512i mask = _mm512_set1_epi8(3);
  for (int32_t tile = 0; tile < blocks * 4; tile++, codes += 256) {
    const __m512i x = tile < tiles ? _mm512_loadu_si512(w + (size_t)tile * 64) : _mm512_setzero_si512();
    _mm512_storeu_si512(codes, _mm512_and_si512(x, mask));
    _mm512_storeu_si512(codes + 64, _mm512_and_si512(_mm512_srli_epi32(x, 2), mask));
    _mm512_storeu_si512(codes + 128, _mm512_and_si512(_mm512_srli_epi32(x, 4), mask));
    _mm512_storeu_si512(codes + 192, _mm512_and_si512(_mm512_srli_epi32(x, 6), mask));
  }
}

INLINE void store_tokens(const ternary_matmul_command *c, int32_t token, int32_t stripe, const int32_t *sums) {
  for (int32_t t = 0; t < 16; t++) {
    store_stripe(c, token + t, stripe, *(const i32x16_any *)(sums + t * 16));
  }
}

// Activations of 16 tokens, columns 64 b on. The last block may reach past a row's end, into the next
// row or the space that every buffer has behind it; codes there are zero.
#define LOAD_TOKENS(tile, q, b) _tile_loadd(tile, (q) + (size_t)(b) * AMX_COLS, q_stride)

static void amx_stripes(const ternary_matmul_command *c, int32_t stripe, int32_t count) {
  const int32_t tokens = c->rows, tiles = (c->weights_cols + 15) / 16, blocks = (tiles + 3) / 4;
  const size_t q_stride = (size_t)tiles * 16, stripe_bytes = (size_t)tiles * 64;
  uint8_t codes[2][(size_t)blocks * 1024] __attribute__((aligned(64)));
  int32_t sums[256] __attribute__((aligned(64)));
  for (int32_t s = 0; s < count; s++) {
    unpack_stripe(c->weights_data + (stripe + s) * stripe_bytes, tiles, blocks, codes[s]);
  }
  int32_t token = 0;
  for (; count == 2 && token + 32 <= tokens; token += 32) {
    const int8_t *q = c->x_q + token * q_stride, *q16 = q + 16 * q_stride;
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    for (int32_t b = 0; b < blocks; b++) {
      LOAD_TOKENS(4, q, b);
      LOAD_TOKENS(5, q16, b);
      _tile_loadd(6, codes[0] + (size_t)b * 1024, 64);
      _tile_loadd(7, codes[1] + (size_t)b * 1024, 64);
      _tile_dpbsud(0, 4, 6);
      _tile_dpbsud(1, 4, 7);
      _tile_dpbsud(2, 5, 6);
      _tile_dpbsud(3, 5, 7);
    }
    _tile_stored(0, sums, 64);
    store_tokens(c, token, stripe, sums);
    _tile_stored(1, sums, 64);
    store_tokens(c, token, stripe + 1, sums);
    _tile_stored(2, sums, 64);
    store_tokens(c, token + 16, stripe, sums);
    _tile_stored(3, sums, 64);
    store_tokens(c, token + 16, stripe + 1, sums);
  }
  for (; token + 16 <= tokens; token += 16) {
    const int8_t *q = c->x_q + token * q_stride;
    for (int32_t s = 0; s < count; s++) {
      _tile_zero(0);
      for (int32_t b = 0; b < blocks; b++) {
        LOAD_TOKENS(4, q, b);
        _tile_loadd(6, codes[s] + (size_t)b * 1024, 64);
        _tile_dpbsud(0, 4, 6);
      }
      _tile_stored(0, sums, 64);
      store_tokens(c, token, stripe + s, sums);
    }
  }
  for (int32_t s = 0; s < count; s++) {
#define PRODUCT(n, first) block_of_tokens(c, n, token + first, stripe + s)
    EACH_TOKEN_BLOCK(8, tokens - token, PRODUCT);
#undef PRODUCT
  }
}

static void ternary_matmul_amx(const ternary_matmul_command *c, int32_t phase, int32_t first, int32_t last) {
  const int32_t stripes = (c->count + 15) / 16;
  if (c->rows < AMX_TOKENS || c->weights_cols > AMX_MAX_COLS) {
    ternary_matmul_2bit(c, phase, first, last);
    return;
  }
  configure_tiles();
  for (int32_t task = first; task < last; task++) {
    const int32_t stripe = task * TASK_STRIPES, left = stripes - stripe;
    amx_stripes(c, stripe, left < TASK_STRIPES ? left : TASK_STRIPES);
  }
  _tile_release();
}
#define TERNARY_MATMUL_2BIT ternary_matmul_amx
