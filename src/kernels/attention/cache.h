// The KV cache as layout.ts describes it: where things lie, and elements in 16 lanes.
#ifndef BITNET_ATTENTION_CACHE_H
#define BITNET_ATTENTION_CACHE_H

#include "../c/kernel.h"
#include "../c/vec.h"

// Positions whose keys lie in lanes.
#define KEY_BLOCK 16
// Groups of the widest head.
#define MAX_GROUPS (MAX_HEAD_DIM / INT4_GROUP)

// Bytes of one position.
typedef struct {
  // Scales and offsets, as a key and as a value each.
  size_t header;
  size_t key;
  size_t value;
} cache_layout;

INLINE cache_layout layout_of(int32_t type, int32_t head_dim) {
  const size_t dim = (size_t)head_dim, groups = (dim + INT4_GROUP - 1) / INT4_GROUP;
  const size_t padded = (dim + 15) & ~(size_t)15;
  switch (type) {
    case CACHE_INT4: return (cache_layout){4 * groups, 16 * groups, 16 * groups};
    case CACHE_INT8: return (cache_layout){2, (dim + 3) & ~(size_t)3, padded};
    case CACHE_F32: return (cache_layout){0, 4 * dim, 4 * padded};
    default: return (cache_layout){0, 2 * dim, 2 * padded};
  }
}

// The first position of the chunk that a position of a sequence is in, for one head, counted over all blocks.
// `table` has a row of `columns` blocks for each sequence, and a block a chunk of each head.
INLINE size_t block_start(const int32_t *table, int32_t columns, size_t slot, size_t position,
                          int32_t heads, int32_t head) {
  const size_t block = (size_t)table[slot * columns + position / ATTENTION_CHUNK];
  return (block * heads + head) * ATTENTION_CHUNK;
}

// Sixteen neighbouring elements of f32 or f16, from number 16 * n on.
INLINE f32x16 load_elements(int32_t type, const uint8_t *p, size_t n) {
  if (type == CACHE_F32) return load16((const float *)p + n * 16);
  return load_f16((const uint16_t *)p + n * 16);
}

INLINE float half_value(uint16_t bits) {
  const uint16_t lanes[16] = {bits};
  return load_f16(lanes)[0];
}

#endif
