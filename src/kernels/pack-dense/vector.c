// Packs rows of float32 values into stripes of f32, f16 or int8; see dense-matmul/layout.ts.
// p: values, data, scales · i: rows, first row, rows of the matrix, cols, type (0 f32, 1 f16, 2 int8)
//
// Sixteen columns at a time for all rows of a stripe, so that what is written lies together.
#include "../../../native/kernel.h"
#include "../../../native/vec.h"

typedef uint32_t u32x4 __attribute__((vector_size(16)));

static work_plan pack_dense_plan(const command *c, int32_t phase, int32_t threads) {
  (void)phase;
  const int32_t first = c->i[1] >> 4, last = (c->i[1] + c->i[0] - 1) >> 4;
  return split_evenly(last - first + 1, threads);
}

// 127 / max|row|, or 0 for a row of zeros, or one so small that the factor overflows.
INLINE float int8_factor(const float *values, int32_t cols, float *scale) {
  f32x16 peak = {0};
  for (int32_t col = 0; col < cols; col += LANES) {
    const int32_t n = cols - col < LANES ? cols - col : LANES;
    peak = max16(peak, abs16(load_first(values + col, n)));
  }
  const float max = max_lanes(peak), factor = 127.0f / max;
  const int32_t is_zero = !(factor <= 3.4028234663852886e38f);
  *scale = is_zero ? 0.0f : max / 127.0f;
  return is_zero ? 0.0f : factor;
}

// Where sixteen columns of one row go. `v` is zero from column n on.
INLINE void pack_columns(const int32_t type, void *data, size_t stripe, int32_t cols, int32_t col,
                         int32_t lane, f32x16 v, int32_t n, float factor) {
  if (type == 2) {
    f32x16 r = factor == 0.0f ? all16(0.0f) : round16(v * factor);
    r = min16(max16(r, all16(-127.0f)), all16(127.0f));
    const i32x16 stored = __builtin_convertvector(r, i32x16) + 128;
    const u32x4 words = (u32x4)__builtin_convertvector(stored, u8x16);
    const int32_t groups = (cols + 3) / 4, group = col / 4;
    uint32_t *out = (uint32_t *)data + (stripe * groups + group) * 16 + lane;
    for (int32_t g = 0; g < 4 && group + g < groups; g++) out[g * 16] = words[g];
  } else if (type == 1) {
    uint16_t half[LANES], *out = (uint16_t *)data + (stripe * cols + col) * 16 + lane;
    store_f16(half, v);
    for (int32_t i = 0; i < n; i++) out[i * 16] = half[i];
  } else {
    float *out = (float *)data + (stripe * cols + col) * 16 + lane;
    for (int32_t i = 0; i < n; i++) out[i * 16] = v[i];
  }
}

INLINE void pack_stripe(const command *c, const int32_t type, int32_t stripe) {
  const int32_t rows = c->i[0], first_row = c->i[1], matrix_rows = c->i[2], cols = c->i[3];
  const int32_t end_row = first_row + rows;
  const int32_t from = stripe * 16 < first_row ? first_row : stripe * 16;
  const int32_t to = stripe * 16 + 16 < end_row ? stripe * 16 + 16 : end_row;
  // With the matrix's last row its padding is written too.
  const int32_t padded = to == matrix_rows ? stripe * 16 + 16 : to;
  const float *values = c->p[0];
  float factor[16] = {0}, *scales = c->p[2];
  for (int32_t row = from; type == 2 && row < to; row++) {
    const float *source = values + (size_t)(row - first_row) * cols;
    factor[row & 15] = int8_factor(source, cols, scales + row);
  }
  for (int32_t row = to; type == 2 && row < padded; row++) scales[row] = 0.0f;
  for (int32_t col = 0; col < cols; col += LANES) {
    const int32_t n = cols - col < LANES ? cols - col : LANES;
    for (int32_t row = from; row < padded; row++) {
      f32x16 v = all16(0.0f);
      if (row < to) v = load_first(values + (size_t)(row - first_row) * cols + col, n);
      pack_columns(type, c->p[1], stripe, cols, col, row & 15, v, n, factor[row & 15]);
    }
  }
}

static void pack_dense_run(const command *c, int32_t phase, int32_t first, int32_t last) {
  (void)phase;
  for (int32_t task = first; task < last; task++) {
    const int32_t stripe = (c->i[1] >> 4) + task;
    switch (c->i[4]) {
      case 0:
        pack_stripe(c, 0, stripe);
        break;
      case 1:
        pack_stripe(c, 1, stripe);
        break;
      default:
        pack_stripe(c, 2, stripe);
    }
  }
}
