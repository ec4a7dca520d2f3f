// The ternary product in plain vector C: sixteen rows in sixteen lanes, one column at a time.
#include "ternary-matmul.h"

static void ternary_matmul_2bit(const ternary_matmul_command *c, int32_t phase, int32_t first, int32_t last) {
  (void)phase;
  const int32_t tokens = c->rows, stripes = (c->count + 15) / 16, tiles = (c->weights_cols + 15) / 16;
  const int32_t end = last * TASK_STRIPES < stripes ? last * TASK_STRIPES : stripes;
  for (int32_t stripe = first * TASK_STRIPES; stripe < end; stripe++) {
    const i32x16_any *w = (const i32x16_any *)(c->weights_data + (size_t)stripe * tiles * 64);
    for (int32_t token = 0; token < tokens; token++) {
      const int8_t *q = c->x_q + (size_t)token * tiles * 16;
      i32x16 sum = {0};
      for (int32_t tile = 0; tile < tiles; tile++, q += 16) {
        const u32x16 x = (u32x16)w[tile];
        for (int32_t p = 0; p < 4; p++) {
          for (int32_t j = 0; j < 4; j++) {
            sum += (i32x16)((x >> (2 * p + 8 * j)) & 3) * (int32_t)q[4 * p + j];
          }
        }
      }
      store_stripe(c, token, stripe, sum);
    }
  }
}
