// What the queries that share a pass over keys and values have in common: up to four heads of a row, or
// of several rows that follow each other.
#ifndef BITNET_HEAD_GROUP_H
#define BITNET_HEAD_GROUP_H

#include "../dense-matmul/dense-matmul.h"
#include "cache.h"

// Heads of one row in a group, at most, and queries in it: with 32 wide registers there is room for the
// sums of eight.
#define ROW_HEADS 4
#ifdef __AVX512F__
#define HEAD_GROUP 8
#else
#define HEAD_GROUP 4
#endif

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
  const float *q[HEAD_GROUP];  // (head_dim) each; for f16 in short floats
  const split_group *split;    // only for int8 and int4
  // Positions of the chunk that each query looks at, none or less if the chunk is not for it; rows that
  // follow each other differ by one. The fewest and the most of them.
  int32_t count[HEAD_GROUP];
  int32_t least;
  int32_t most;
  int32_t skipped;  // positions at the chunk's beginning that a window leaves out, none if not above 0
} head_group;

#endif
