// Rows of a dense matrix, decoded; see reference.ts.
#include "../c/kernel.h"
#include "../c/vec.h"

// Tiles of an int4 stripe whose low nibbles are copied at once: 16 KiB.
#define EMBED_TILES 256

enum { embed_phases = 1 };

static work_plan embed_plan(const embed_command *c, int32_t phase, int32_t threads) {
  (void)phase;
  return c->rows < 4 ? one_piece(c->rows) : split_evenly(c->rows, threads);
}

static void embed_run(const embed_command *c, int32_t phase, int32_t first, int32_t last) {
  (void)phase;
  const int32_t cols = c->table_cols, type = c->table_type;
  const float factor = c->factor;
  for (int32_t row = first; row < last; row++) {
    const int32_t token = c->step[row * STEP_WORDS + STEP_TOKEN];
    const size_t stripe = (size_t)(token >> 4);
    const int32_t lane = token & 15;
    float *out = c->out + (size_t)row * cols;
    if (type == DENSE_F32) {
      const float *from = (const float *)c->table_data + stripe * cols * 16 + lane;
      for (int32_t col = 0; col < cols; col++) out[col] = from[(size_t)col * 16];
    } else if (type == DENSE_F16) {
      const uint16_t *from = (const uint16_t *)c->table_data + stripe * cols * 16 + lane;
      for (int32_t col = 0; col < cols; col += LANES) {
        uint16_t part[LANES] = {0};
        const int32_t n = cols - col < LANES ? cols - col : LANES;
        for (int32_t i = 0; i < n; i++) part[i] = from[(size_t)(col + i) * 16];
        store_first(out + col, load_f16(part), n);
      }
    } else if (type == DENSE_INT4) {
      const int32_t tiles = (cols + 7) / 8;
      const uint8_t *high = c->table_data + (stripe * tiles * 16 + lane) * 4;
      const uint8_t *low = high + ((size_t)c->table_rows + 15) / 16 * tiles * 64;
      const float scale = c->table_scales[token];
      uint8_t room[EMBED_TILES * 64];
      for (int32_t tile = 0; tile < tiles; tile += EMBED_TILES) {
        const int32_t count = tiles - tile < EMBED_TILES ? tiles - tile : EMBED_TILES;
        const size_t before = (size_t)tile * 64, bytes = (size_t)count * 64 - lane * 4;
        const uint8_t *part = sparse_bytes(c->sparse, low + before, bytes, room);
        for (int32_t col = tile * 8; col < cols && col < (tile + count) * 8; col++) {
          const size_t at = (size_t)(col / 8 - tile) * 64 + (col & 3);
          const int32_t shift = col & 4, h = high[before + at] >> shift & 15;
          out[col] = (float)(h * 16 + (part[at] >> shift & 15) - 128) * scale;
        }
      }
    } else {
      const int32_t groups = (cols + 3) / 4;
      const uint8_t *from = c->table_data + (stripe * groups * 16 + lane) * 4;
      const float scale = c->table_scales[token];
      for (int32_t col = 0; col < cols; col++) {
        out[col] = (float)(from[(size_t)(col >> 2) * 64 + (col & 3)] - 128) * scale;
      }
    }
    for (int32_t col = 0; factor != 1.0f && col < cols; col++) out[col] = out[col] * factor;
  }
}
