// The largest of many, by the order of their bits.
#ifndef BITNET_LARGEST_H
#define BITNET_LARGEST_H

#include "../c/vec.h"

// Floats in the order of their bits, those of negative ones turned around.
INLINE i32x16 order_of(f32x16 y) {
  const i32x16 bits = (i32x16)y;
  return bits ^ ((bits >> 31) & 0x7fffffff);
}

// How many of `count` values, padded to 16 with values that do not count, are at least `limit`.
INLINE int32_t count_from(const int32_t *values, int32_t count, int32_t limit) {
  i32x16 found = {0};
  for (int32_t i = 0; i < count; i += 16) found -= *(const i32x16_any *)(values + i) >= limit;
  int32_t total = 0;
  for (int32_t i = 0; i < 16; i++) total += found[i];
  return total;
}

// The largest number that `wanted` of `count` values reach; with fewer, INT32_MIN.
INLINE int32_t kth_largest(const int32_t *values, int32_t count, int32_t wanted) {
  // Bit by bit from the top.
  uint32_t limit = 0;
  for (int32_t bit = 31; bit >= 0; bit--) {
    const uint32_t higher = limit | 1u << bit;
    if (count_from(values, count, (int32_t)(higher ^ 0x80000000)) >= wanted) limit = higher;
  }
  return (int32_t)(limit ^ 0x80000000);
}

#endif
