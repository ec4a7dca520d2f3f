// The ternary product with AMX tiles, for prompts and batches; a few tokens go the way of
// x86-avx512vnni.c, which reads memory as fast and needs no unpacked copy.
//
// A tile of the packed layout is four rows of what tdpbsud takes as its second operand: 16 rows of W in
// 16 lanes, four neighbouring columns each. Four tiles, 64 columns, make one tile register; the
// activations of 16 tokens, as they lie, are the other. The result has a row a token and a lane a row.
#include <immintrin.h>

#include "ternary-matmul.h"

// Tokens from which unpacking a stripe pays, and which a tile has. Tiles multiply all of them by zeros sooner than
// other instructions leave these out.
#define TILED_TOKENS 16
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

// A task's stripes, of which the second may be the first once more, and their codes as bytes.
typedef struct {
  const uint8_t *packed[2];
  uint8_t *codes[2];
  int32_t tiles, blocks;
} unpacked_stripes;

// The codes of 64 columns, a byte each, in groups of four columns; columns past the end are zero, so that
// whatever activations stand there do not count.
INLINE void unpack_block(const unpacked_stripes *w, int32_t block) {
  const __m512i mask = _mm512_set1_epi8(3);
  for (int32_t s = 0; s < 2; s++) {
    uint8_t *codes = w->codes[s] + (size_t)block * 1024;
    for (int32_t tile = block * 4; tile < block * 4 + 4; tile++, codes += 256) {
      const uint8_t *from = w->packed[s] + (size_t)tile * 64;
      const __m512i x = tile < w->tiles ? _mm512_loadu_si512(from) : _mm512_setzero_si512();
      _mm512_store_si512(codes, _mm512_and_si512(x, mask));
      _mm512_store_si512(codes + 64, _mm512_and_si512(_mm512_srli_epi32(x, 2), mask));
      _mm512_store_si512(codes + 128, _mm512_and_si512(_mm512_srli_epi32(x, 4), mask));
      _mm512_store_si512(codes + 192, _mm512_and_si512(_mm512_srli_epi32(x, 6), mask));
    }
  }
}

// Blocks that are unpacked before tiles read them: what was stored a moment ago is not in the cache yet.
#define BLOCKS_AHEAD 2

// Activations of 16 tokens, columns 64 b on. The last block may reach past a row's end, into the next
// row or the space that every buffer has behind it; codes there are zero.
#define LOAD_TOKENS(tile, q, b) _tile_loadd(tile, (q) + (size_t)(b) * AMX_COLS, q_stride)

// Code sums of 16 tokens (q) and, where `wide`, 16 more (q16) by two stripes: 256 of each pair. The first tokens'
// pass unpacks codes on its way. Meanwhile the `lines` rows of `out` that the sums go to are asked for: other cores
// have them, and each store would wait for its own.
INLINE void amx_sums(const int32_t is_first, const int32_t wide, const unpacked_stripes *w, const int8_t *q,
                     const int8_t *q16, float *out, size_t out_stride, int32_t lines, int32_t *sums) {
  const size_t q_stride = (size_t)w->tiles * 16;
  _tile_zero(0);
  _tile_zero(1);
  _tile_zero(2);
  _tile_zero(3);
  for (int32_t b = 0; is_first && b < BLOCKS_AHEAD && b < w->blocks; b++) unpack_block(w, b);
  for (int32_t b = 0; b < w->blocks; b++) {
    if (is_first && b + BLOCKS_AHEAD < w->blocks) unpack_block(w, b + BLOCKS_AHEAD);
    if (b < lines) {
      __builtin_prefetch(out + b * out_stride, 1, 3);
      __builtin_prefetch(out + b * out_stride + 16, 1, 3);
    }
    LOAD_TOKENS(4, q, b);
    _tile_loadd(6, w->codes[0] + (size_t)b * 1024, 64);
    _tile_loadd(7, w->codes[1] + (size_t)b * 1024, 64);
    _tile_dpbsud(0, 4, 6);
    _tile_dpbsud(1, 4, 7);
    if (!wide) continue;
    LOAD_TOKENS(5, q16, b);
    _tile_dpbsud(2, 5, 6);
    _tile_dpbsud(3, 5, 7);
  }
  _tile_stored(0, sums, 64);
  _tile_stored(1, sums + 256, 64);
  if (!wide) return;
  _tile_stored(2, sums + 512, 64);
  _tile_stored(3, sums + 768, 64);
}

// The sixteen tokens that cover those from `token` on: the last ones overlap those before them.
INLINE int32_t sixteen_of(int32_t token, int32_t tokens) { return token + 16 <= tokens ? token : tokens - 16; }

INLINE void store_tokens(const ternary_matmul_command *c, int32_t token, int32_t stripe, int32_t count,
                         const int32_t *sums) {
  const int32_t end = token + 16 < c->rows ? token + 16 : c->rows, start = sixteen_of(token, c->rows);
  for (; token < end; token++) {
    for (int32_t s = 0; s < count; s++) {
      store_stripe(c, token, stripe + s, *(const i32x16_any *)(sums + s * 256 + (token - start) * 16));
    }
  }
}

static void amx_stripes(const ternary_matmul_command *c, int32_t stripe, int32_t count) {
  const int32_t tokens = c->rows, tiles = (c->weights_cols + 15) / 16, blocks = (tiles + 3) / 4;
  const size_t q_stride = (size_t)tiles * 16, stripe_bytes = (size_t)tiles * 64, out_stride = (size_t)c->weights_rows;
  uint8_t codes[2][(size_t)blocks * 1024] __attribute__((aligned(64)));
  // Of these tokens and the ones before, whose sums are stored while the tiles are at work again.
  int32_t sums[2][1024] __attribute__((aligned(64)));
  const uint8_t *packed = c->weights_data + stripe * stripe_bytes;
  const unpacked_stripes w = {
      .packed = {packed, count == 2 ? packed + stripe_bytes : packed},
      .codes = {codes[0], codes[1]},
      .tiles = tiles,
      .blocks = blocks,
  };
  for (int32_t token = 0; token < tokens + 32; token += 32) {
    if (token < tokens) {
      const int32_t lines = tokens - token < 32 ? tokens - token : 32, wide = lines > 16;
      const int8_t *q = c->x_q + sixteen_of(token, tokens) * q_stride;
      const int8_t *q16 = c->x_q + sixteen_of(token + 16, tokens) * q_stride;
      float *out = c->out + token * out_stride + stripe * 16;
      int32_t *to = sums[token / 32 % 2];
      if (token == 0 && wide) amx_sums(1, 1, &w, q, q16, out, out_stride, lines, to);
      else if (token == 0) amx_sums(1, 0, &w, q, q16, out, out_stride, lines, to);
      else if (wide) amx_sums(0, 1, &w, q, q16, out, out_stride, lines, to);
      else amx_sums(0, 0, &w, q, q16, out, out_stride, lines, to);
    }
    if (token == 0) continue;
    const int32_t before = token - 32, *from = sums[before / 32 % 2];
    store_tokens(c, before, stripe, count, from);
    if (before + 16 < tokens) store_tokens(c, before + 16, stripe, count, from + 512);
  }
}

static void ternary_matmul_amx(const ternary_matmul_command *c, int32_t phase, int32_t first, int32_t last) {
  const int32_t stripes = (c->count + 15) / 16;
  if (c->rows < TILED_TOKENS || c->weights_cols > AMX_MAX_COLS) {
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
