// Packs rows of float32 values into stripes of f32, f16 or int8; see dense-matmul/layout.ts.
// p: values, data, scales · i: rows, first row, rows of the matrix, cols, type (0 f32, 1 f16, 2 int8)
#include "../../../native/kernel.h"
#include "../../../native/vec.h"

static work_plan pack_dense_plan(const command *c, int32_t phase, int32_t threads) {
  (void)phase;
  const int32_t first = c->i[1] >> 4, last = (c->i[1] + c->i[0] - 1) >> 4;
  return split_evenly(last - first + 1, threads);
}

INLINE void pack_int8_row(const float *values, int32_t cols, uint8_t *out, float *scale) {
  f32x16 peak = {0};
  for (int32_t col = 0; col < cols; col += LANES) {
    const int32_t n = cols - col < LANES ? cols - col : LANES;
    peak = max16(peak, abs16(load_first(values + col, n)));
  }
  const float max = max_lanes(peak), factor = 127.0f / max;
  // A row of zeros, or one so small that the factor overflows.
  const int32_t is_zero = !(factor <= 3.4028234663852886e38f);
  *scale = is_zero ? 0.0f : max / 127.0f;
  for (int32_t col = 0; col < ((cols + 3) & ~3); col += 4) {
    uint8_t *group = out + (size_t)col * 16;
    for (int32_t j = 0; j < 4; j++) {
      float r = col + j < cols && !is_zero ? round1(values[col + j] * factor) : 0.0f;
      r = r > 127.0f ? 127.0f : r < -127.0f ? -127.0f : r;
      group[j] = (uint8_t)((int32_t)r + 128);
    }
  }
}

static void pack_dense_run(const command *c, int32_t phase, int32_t first, int32_t last) {
  (void)phase;
  const int32_t rows = c->i[0], first_row = c->i[1], matrix_rows = c->i[2], cols = c->i[3];
  const int32_t type = c->i[4], end_row = first_row + rows;
  for (int32_t task = first; task < last; task++) {
    const int32_t stripe = (first_row >> 4) + task;
    const int32_t from = stripe * 16 < first_row ? first_row : stripe * 16;
    const int32_t to = stripe * 16 + 16 < end_row ? stripe * 16 + 16 : end_row;
    const size_t floats = (size_t)stripe * cols * 16;
    const size_t bytes = (size_t)stripe * ((cols + 3) / 4) * 64;
    for (int32_t row = from; row < to; row++) {
      const float *values = (const float *)c->p[0] + (size_t)(row - first_row) * cols;
      const int32_t lane = row & 15;
      if (type == 0) {
        float *out = (float *)c->p[1] + floats + lane;
        for (int32_t col = 0; col < cols; col++) out[(size_t)col * 16] = values[col];
      } else if (type == 1) {
        uint16_t *out = (uint16_t *)c->p[1] + floats + lane;
        for (int32_t col = 0; col < cols; col++) out[(size_t)col * 16] = to_f16(values[col]);
      } else {
        uint8_t *out = (uint8_t *)c->p[1] + bytes + lane * 4;
        pack_int8_row(values, cols, out, (float *)c->p[2] + row);
      }
    }
    if (to != matrix_rows) continue;
    for (int32_t row = matrix_rows; row < stripe * 16 + 16; row++) {
      const int32_t lane = row & 15;
      if (type == 2) {
        uint8_t *out = (uint8_t *)c->p[1] + bytes + lane * 4;
        for (int32_t col = 0; col < cols; col += 4) {
          __builtin_memset(out + (size_t)col * 16, 128, 4);
        }
        ((float *)c->p[2])[row] = 0.0f;
      } else if (type == 1) {
        uint16_t *out = (uint16_t *)c->p[1] + floats + lane;
        for (int32_t col = 0; col < cols; col++) out[(size_t)col * 16] = 0;
      } else {
        float *out = (float *)c->p[1] + floats + lane;
        for (int32_t col = 0; col < cols; col++) out[(size_t)col * 16] = 0.0f;
      }
    }
  }
}
