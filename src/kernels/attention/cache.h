// The KV cache's blocks as layout.ts describes them, and their elements in 16 lanes.
#ifndef BITNET_ATTENTION_CACHE_H
#define BITNET_ATTENTION_CACHE_H

#include "../../../native/vec.h"

// Positions of a block.
#define BLOCK 16
// Dimensions that share a scale and an offset in int4.
#define INT4_GROUP 32

enum { CACHE_F16, CACHE_F32, CACHE_INT8, CACHE_INT4 };

// Bytes of the parts of a block.
typedef struct {
  size_t header;
  size_t key_block;
  // One position's values, and a block of them with its header.
  size_t value_row;
  size_t value_block;
} cache_layout;

INLINE cache_layout layout_of(int32_t type, int32_t head_dim) {
  const size_t dim = (size_t)head_dim, groups = (dim + INT4_GROUP - 1) / INT4_GROUP;
  const size_t padded = (dim + 15) & ~(size_t)15;
  size_t header = 0, keys, row;
  switch (type) {
    case CACHE_INT4:
      header = groups * 4 * BLOCK;
      keys = BLOCK * dim / 2;
      row = groups * INT4_GROUP / 2;
      break;
    case CACHE_INT8:
      header = 2 * BLOCK;
      keys = BLOCK * dim;
      row = padded;
      break;
    case CACHE_F32:
      keys = BLOCK * dim * 4;
      row = padded * 4;
      break;
    default:
      keys = BLOCK * dim * 2;
      row = padded * 2;
  }
  return (cache_layout){header, header + keys, row, header + BLOCK * row};
}

// Sixteen elements from number 16 * n on, not for int4.
INLINE f32x16 load_elements(int32_t type, const uint8_t *p, size_t n) {
  switch (type) {
    case CACHE_INT8: {
      const i8x16 codes = *(const i8x16_any *)(p + n * 16);
      return __builtin_convertvector(__builtin_convertvector(codes, i32x16), f32x16);
    }
    case CACHE_F32: return load16((const float *)p + n * 16);
    default: return load_f16((const uint16_t *)p + n * 16);
  }
}

// The codes in the low halves of 16 bytes, and in the high halves.
INLINE void load_codes4(const uint8_t *p, f32x16 *low, f32x16 *high) {
  const u8x16 both = *(const u8x16_any *)p;
  const i32x16 wide = __builtin_convertvector(both, i32x16);
  *low = __builtin_convertvector(wide & 15, f32x16);
  *high = __builtin_convertvector(wide >> 4, f32x16);
}

INLINE float half_value(uint16_t bits) {
  const uint16_t lanes[16] = {bits};
  return load_f16(lanes)[0];
}

#endif
