// The ternary product around a variant's own products of the 2-bit and the 1.6-bit layout; a variant
// without a quick one of the latter gets the plain one.
#include "ternary-matmul.h"

#ifndef HAS_BASE3
#include "base3.c"
#endif

#ifndef TERNARY_MATMUL_2BIT
#define TERNARY_MATMUL_2BIT ternary_matmul_2bit
#endif

enum { ternary_matmul_phases = 1 };

static void ternary_matmul_run(const ternary_matmul_command *c, int32_t phase, int32_t first,
                               int32_t last) {
  ternary_matmul_command part;
  const int32_t is_base3 = c->weights_packing == PACKING_BASE3;
  if (c->first > 0) {  // a part of the rows: weights, scales and output from its first stripe on
    const int32_t tile_cols = is_base3 ? 20 : 16;
    const int32_t tiles = (c->weights_cols + tile_cols - 1) / tile_cols;
    part = *c;
    part.weights_data += (size_t)c->first / 16 * tiles * 64;
    part.weights_scales += c->first;
    part.out += c->first;
    c = &part;
  }
  if (is_base3) {
    ternary_matmul_base3(c, first, last);
  } else {
    TERNARY_MATMUL_2BIT(c, phase, first, last);
  }
}
