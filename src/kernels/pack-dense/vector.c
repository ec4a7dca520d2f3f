// Packs rows of values into stripes of f32, f16, int8 or int4; see dense-matmul/layout.ts.
//
// Sixteen columns at a time for all rows of a stripe, so that what is written lies together.
#include "../c/kernel.h"
#include "../c/vec.h"

#define HAS_ROW_SCALES(type) ((type) == DENSE_INT8 || (type) == DENSE_INT4)

typedef uint32_t u32x4 __attribute__((vector_size(16)));

enum { pack_dense_phases = 1 };

static work_plan pack_dense_plan(const pack_dense_command *c, int32_t phase, int32_t threads) {
  (void)phase;
  const int32_t first = c->first_row >> 4, last = (c->first_row + c->rows - 1) >> 4;
  return split_evenly(last - first + 1, threads);
}

// Sixteen values from `at` on as float32; lanes from n on are zero.
INLINE f32x16 load_values(const void *values, const int32_t values_type, size_t at, int32_t n) {
  if (values_type == VALUES_F32) return load_first((const float *)values + at, n);
  const uint16_t *from = (const uint16_t *)values + at;
  uint16_t part[LANES] = {0};
  if (n < LANES) {
    for (int32_t i = 0; i < n; i++) part[i] = from[i];
    from = part;
  }
  if (values_type == VALUES_F16) return load_f16(from);
  return (f32x16)(__builtin_convertvector(*(const u16x16_any *)from, u32x16) << 16);
}

// 127 / max|row|, or 0 for a row of zeros, or one so small that the factor overflows, or one that is
// not finite.
INLINE float int8_factor(const void *values, const int32_t values_type, size_t first, int32_t cols,
                         float *scale) {
  // As integers, magnitudes are ordered with infinity and NaN above all numbers.
  i32x16 peak = {0};
  for (int32_t col = 0; col < cols; col += LANES) {
    const int32_t n = cols - col < LANES ? cols - col : LANES;
    const i32x16 v = (i32x16)abs16(load_values(values, values_type, first + col, n));
    peak = (i32x16)select16(v > peak, (f32x16)v, (f32x16)peak);
  }
  union {
    int32_t bits;
    float value;
  } top = {0};
  for (int32_t i = 0; i < LANES; i++) top.bits = peak[i] > top.bits ? peak[i] : top.bits;
  if (top.bits >= 0x7f800000) {
    *scale = __builtin_inff();
    return 0.0f;
  }
  const float max = top.value, factor = 127.0f / max;
  const int32_t is_zero = !(factor <= 3.4028234663852886e38f);
  *scale = is_zero ? 0.0f : max / 127.0f;
  return is_zero ? 0.0f : factor;
}

// Sixteen columns of stored bytes cut into nibbles, 8 columns a tile; `planes` bytes lie between the
// planes. The second tile is left out where n columns do not reach it.
INLINE void pack_nibbles(void *data, size_t planes, size_t at, u32x4 words, int32_t n) {
  for (int32_t tile = 0; tile < 2 && tile * 8 < n; tile++) {
    const uint32_t first = words[2 * tile], second = words[2 * tile + 1];
    uint8_t *high = (uint8_t *)data + at + tile * 64;
    *(uint32_t *)high = (first >> 4 & 0x0f0f0f0f) | (second & 0xf0f0f0f0);
    *(uint32_t *)(high + planes) = (first & 0x0f0f0f0f) | (second << 4 & 0xf0f0f0f0);
  }
}

// Where sixteen columns of one row go. `v` is zero from column n on.
INLINE void pack_columns(const int32_t type, void *data, size_t planes, size_t stripe, int32_t cols,
                         int32_t col, int32_t lane, f32x16 v, int32_t n, float factor) {
  if (HAS_ROW_SCALES(type)) {
    f32x16 r = factor == 0.0f ? all16(0.0f) : round16(v * factor);
    r = min16(max16(r, all16(-127.0f)), all16(127.0f));
    const i32x16 stored = __builtin_convertvector(r, i32x16) + 128;
    const u32x4 words = (u32x4)__builtin_convertvector(stored, u8x16);
    if (type == DENSE_INT4) {
      pack_nibbles(data, planes, (stripe * ((cols + 7) / 8) + col / 8) * 64 + lane * 4, words, n);
      return;
    }
    const int32_t groups = (cols + 3) / 4, group = col / 4;
    uint32_t *out = (uint32_t *)data + (stripe * groups + group) * 16 + lane;
    for (int32_t g = 0; g < 4 && group + g < groups; g++) out[g * 16] = words[g];
  } else if (type == DENSE_F16) {
    uint16_t half[LANES], *out = (uint16_t *)data + (stripe * cols + col) * 16 + lane;
    store_f16(half, v);
    for (int32_t i = 0; i < n; i++) out[i * 16] = half[i];
  } else {
    float *out = (float *)data + (stripe * cols + col) * 16 + lane;
    for (int32_t i = 0; i < n; i++) out[i * 16] = v[i];
  }
}

INLINE void pack_stripe(const pack_dense_command *c, const int32_t type, const int32_t values_type,
                        int32_t stripe) {
  const int32_t rows = c->rows, first_row = c->first_row, matrix_rows = c->out_rows, cols = c->out_cols;
  const int32_t end_row = first_row + rows;
  const int32_t from = stripe * 16 < first_row ? first_row : stripe * 16;
  const int32_t to = stripe * 16 + 16 < end_row ? stripe * 16 + 16 : end_row;
  // With the matrix's last row its padding is written too.
  const int32_t padded = to == matrix_rows ? stripe * 16 + 16 : to;
  const size_t planes = (size_t)((matrix_rows + 15) / 16) * ((cols + 7) / 8) * 64;
  const void *values = c->values;
  float factor[16] = {0}, *scales = c->out_scales;
  for (int32_t row = from; HAS_ROW_SCALES(type) && row < to; row++) {
    const size_t at = (size_t)(row - first_row) * cols;
    factor[row & 15] = int8_factor(values, values_type, at, cols, scales + row);
  }
  for (int32_t row = to; HAS_ROW_SCALES(type) && row < padded; row++) scales[row] = 0.0f;
  for (int32_t col = 0; col < cols; col += LANES) {
    const int32_t n = cols - col < LANES ? cols - col : LANES;
    for (int32_t row = from; row < padded; row++) {
      f32x16 v = all16(0.0f);
      if (row < to) v = load_values(values, values_type, (size_t)(row - first_row) * cols + col, n);
      pack_columns(type, c->out_data, planes, stripe, cols, col, row & 15, v, n, factor[row & 15]);
    }
  }
}

INLINE void pack_type(const pack_dense_command *c, const int32_t values_type, int32_t stripe) {
  switch (c->out_type) {
    case DENSE_F32:
      pack_stripe(c, DENSE_F32, values_type, stripe);
      break;
    case DENSE_F16:
      pack_stripe(c, DENSE_F16, values_type, stripe);
      break;
    case DENSE_INT8:
      pack_stripe(c, DENSE_INT8, values_type, stripe);
      break;
    default:
      pack_stripe(c, DENSE_INT4, values_type, stripe);
  }
}

static void pack_dense_run(const pack_dense_command *c, int32_t phase, int32_t first, int32_t last) {
  (void)phase;
  for (int32_t task = first; task < last; task++) {
    const int32_t stripe = (c->first_row >> 4) + task;
    switch (c->values_type) {
      case 0:
        pack_type(c, 0, stripe);
        break;
      case 1:
        pack_type(c, 1, stripe);
        break;
      default:
        pack_type(c, 2, stripe);
    }
  }
}
