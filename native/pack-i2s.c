// Repacks I2_S codes (the published 128-element blocks, formats/ternary/) into the packed layout.
// p: source bytes, packed stripes · i: rows, cols, stripes
//
// In a block of 128 elements byte p holds elements p, 32 + p, 64 + p, 96 + p from the high bits down.
// Sixteen neighbouring columns of one row are therefore sixteen neighbouring bytes at one shift, and
// a tile's lane wants columns j, 4 + j, 8 + j, 12 + j in its byte j: four bytes folded over each other.
// A source code of 3 never occurs in a sound file; it becomes weight 0.

#include "kernel.h"

static work_plan pack_i2s_plan(const command *c, int32_t phase, int32_t threads) {
  (void)phase;
  return split_evenly(c->i[2], threads);
}

static void pack_i2s_run(const command *c, int32_t phase, int32_t first, int32_t last) {
  (void)phase;
  const int32_t rows = c->i[0], cols = c->i[1];
  const size_t row_bytes = (size_t)cols / 4;
  for (int32_t stripe = first; stripe < last; stripe++) {
    uint8_t *to = (uint8_t *)c->p[1] + (size_t)stripe * cols * 4;
    for (int32_t r = 0; r < 16; r++) {
      const int32_t row = stripe * 16 + r;
      if (row >= rows) {
        for (int32_t tile = 0; tile < cols / 16; tile++) __builtin_memset(to + tile * 64 + r * 4, 0x55, 4);
        continue;
      }
      const uint8_t *from = (const uint8_t *)c->p[0] + row * row_bytes;
      for (int32_t tile = 0; tile < cols / 16; tile++) {
        const uint8_t *bytes = from + (tile >> 3) * 32 + (tile & 1) * 16;
        const int32_t shift = 6 - 2 * ((tile >> 1) & 3);
        uint32_t lane = 0;
        for (int32_t p = 0; p < 4; p++) {
          uint32_t four;
          __builtin_memcpy(&four, bytes + 4 * p, 4);
          lane |= ((four >> shift) & 0x03030303u) << (2 * p);
        }
        const uint32_t three = lane & (lane >> 1) & 0x55555555u;
        lane ^= three << 1;
        __builtin_memcpy(to + tile * 64 + r * 4, &lane, 4);
      }
    }
  }
}
