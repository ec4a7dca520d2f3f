// The ternary product around a variant's own products of the 2-bit and the 1.6-bit layout; a variant
// without a quick one of the latter gets the plain one.
#include "ternary-matmul.h"

#ifndef HAS_BASE3
#include "base3.c"
#endif

#ifndef TERNARY_MATMUL_2BIT
#define TERNARY_MATMUL_2BIT ternary_matmul_2bit
#endif

INLINE void product_of_stripes(const ternary_matmul_command *c, int32_t first, int32_t last) {
  if (c->weights_packing == PACKING_BASE3) {
    ternary_matmul_base3(c, first, last);
  } else {
    TERNARY_MATMUL_2BIT(c, 1, first, last);
  }
}

// The rows [row, row + count) of the output, from a multiple of 16 on, by their weights in stripes.
static void striped_product(const ternary_matmul_command *c, int32_t row, int32_t count, const uint8_t *stripes) {
  ternary_matmul_command part = *c;
  part.weights_data = stripes;
  part.weights_scales += row;
  part.out += row;
  part.count = count;
  product_of_stripes(&part, 0, (count + 16 * TASK_STRIPES - 1) / (16 * TASK_STRIPES));
}

#include "columns.h"

enum { ternary_matmul_phases = 2 };

// The first phase is for the order of columns alone.
static work_plan ternary_matmul_plan(const ternary_matmul_command *c, int32_t phase, int32_t threads) {
  if (c->weights_order == ORDER_COLUMNS) return columns_plan(c, phase, threads);
  const int32_t stripes = (c->count + 15) / 16;
  return phase == 0 ? (work_plan){0, 1} : split_evenly((stripes + TASK_STRIPES - 1) / TASK_STRIPES, threads);
}

static void ternary_matmul_run(const ternary_matmul_command *c, int32_t phase, int32_t first,
                               int32_t last) {
  if (c->weights_order == ORDER_COLUMNS) {
    columns_run(c, phase, first, last);
    return;
  }
  ternary_matmul_command part;
  if (c->first > 0) {  // a part of the rows: weights, scales and output from its first stripe on
    const int32_t tile_cols = c->weights_packing == PACKING_BASE3 ? 20 : 16;
    const int32_t tiles = (c->weights_cols + tile_cols - 1) / tile_cols;
    part = *c;
    part.weights_data += (size_t)c->first / 16 * tiles * 64;
    part.weights_scales += c->first;
    part.out += c->first;
    c = &part;
  }
  product_of_stripes(c, first, last);
}
