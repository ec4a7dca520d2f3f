// What the query heads that share a pass over keys and values have in common.
#ifndef BITNET_HEAD_GROUP_H
#define BITNET_HEAD_GROUP_H

#include "../dense-matmul/dense-matmul.h"
#include "cache.h"

// Heads in a group, at most.
#define HEAD_GROUP 4

typedef struct {
  float max;
  float sum;
} softmax_state;

// Queries as int8 caches multiply them; see dense-matmul.h.
typedef struct {
  _Alignas(64) int8_t planes[HEAD_GROUP * (2 * MAX_HEAD_DIM + sizeof(split_token))];
  // Only for int4, of each 32 dimensions: the sums of the planes and of the query.
  int32_t of_high[HEAD_GROUP][MAX_GROUPS];
  int32_t of_low[HEAD_GROUP][MAX_GROUPS];
  float sum[HEAD_GROUP][MAX_GROUPS];
} split_group;

typedef struct {
  int32_t type;
  int32_t head_dim;
  int32_t value_dim;  // head_dim, padded to 16
  float scale;
  cache_layout layout;
  const float *q;            // (heads, head_dim)
  const split_group *split;  // only for int8 and int4
} head_group;

#endif
