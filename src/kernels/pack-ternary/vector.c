// Packs rows of ternary codes; see reference.ts and ternary/pack.ts.
// p: codes, packed · i: rows, first row, rows of the matrix, cols
#include "../../../native/kernel.h"
#include "../../../native/vec.h"

// Codes of weight 0 in all four columns of a byte: what padding holds.
#define PADDING_WORD 0x55555555u

typedef uint32_t u32x4 __attribute__((vector_size(16)));

static work_plan pack_ternary_plan(const command *c, int32_t phase, int32_t threads) {
  (void)phase;
  const int32_t first = c->i[1] >> 4, last = (c->i[1] + c->i[0] - 1) >> 4;
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

static void pack_ternary_run(const command *c, int32_t phase, int32_t first, int32_t last) {
  (void)phase;
  const int32_t rows = c->i[0], first_row = c->i[1], matrix_rows = c->i[2], cols = c->i[3];
  const int32_t tiles = (cols + 15) / 16, end_row = first_row + rows;
  for (int32_t task = first; task < last; task++) {
    const int32_t stripe = (first_row >> 4) + task;
    uint32_t *out = (uint32_t *)((uint8_t *)c->p[1] + (size_t)stripe * tiles * 64);
    const int32_t from = stripe * 16 < first_row ? first_row : stripe * 16;
    const int32_t to = stripe * 16 + 16 < end_row ? stripe * 16 + 16 : end_row;
    for (int32_t tile = 0; tile < tiles; tile++, out += 16) {
      const int8_t *codes = (const int8_t *)c->p[0] + (size_t)tile * 16;
      for (int32_t row = from; row < to; row++) {
        out[row & 15] = pack_lane(codes + (size_t)(row - first_row) * cols, cols - tile * 16);
      }
      for (int32_t row = matrix_rows; row < stripe * 16 + 16; row++) {
        if (to == matrix_rows) out[row & 15] = PADDING_WORD;
      }
    }
  }
}
