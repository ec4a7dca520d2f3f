// Products of sixteen vectors, one in each lane, with rows of others: attention with queries in lanes, or keys.
#ifndef BITNET_ATTENTION_LANES_H
#define BITNET_ATTENTION_LANES_H

#include "../c/vec.h"

// The most dimensions of a head in training; see src/kernels/sequences.ts.
#define MAX_LANE_DIM 128
// Dimensions, or rows, whose sums are in registers at the same time.
#define LANE_GROUP 4

// Sixteen vectors that are `stride` apart, dimension by dimension; past the last of n it again.
INLINE void to_lanes(float *lanes, const float *x, size_t stride, int32_t n, int32_t dim) {
  for (int32_t lane = 0; lane < LANES; lane++) {
    const float *from = x + (lane < n ? lane : n - 1) * stride;
    for (int32_t d = 0; d < dim; d++) lanes[d * LANES + lane] = from[d];
  }
}

INLINE void from_lanes(float *x, size_t stride, int32_t n, const float *lanes, int32_t dim, f32x16 factor) {
  for (int32_t d = 0; d < dim; d++) store16((float *)lanes + d * LANES, load16(lanes + d * LANES) * factor);
  for (int32_t lane = 0; lane < n; lane++) {
    for (int32_t d = 0; d < dim; d++) x[lane * stride + d] = lanes[d * LANES + lane];
  }
}

INLINE void lane_products_of(float *out, const float *lanes, const float *rows, size_t stride, const int32_t n,
                             int32_t dim) {
  f32x16 sums[LANE_GROUP];
  for (int32_t i = 0; i < n; i++) sums[i] = (f32x16){0};
  for (int32_t d = 0; d < dim; d++) {
    const f32x16 lane = load16(lanes + d * LANES);
    for (int32_t i = 0; i < n; i++) sums[i] = add_fused(sums[i], lane, all16(rows[i * stride + d]));
  }
  for (int32_t i = 0; i < n; i++) store16(out + i * LANES, sums[i]);
}

// out (n, 16): the products of each of n rows with the vectors in the lanes.
static void lane_products(float *out, const float *lanes, const float *rows, size_t stride, int32_t n, int32_t dim) {
  int32_t i = 0;
  for (; i + LANE_GROUP <= n; i += LANE_GROUP) {
    lane_products_of(out + i * LANES, lanes, rows + i * stride, stride, LANE_GROUP, dim);
  }
  for (; i < n; i++) lane_products_of(out + i * LANES, lanes, rows + i * stride, stride, 1, dim);
}

INLINE void lane_sums_of(float *sums, const float *weights, const float *rows, size_t stride, int32_t n,
                         const int32_t dims) {
  f32x16 own[LANE_GROUP];
  for (int32_t d = 0; d < dims; d++) own[d] = load16(sums + d * LANES);
  for (int32_t i = 0; i < n; i++) {
    const f32x16 weight = load16(weights + i * LANES);
    for (int32_t d = 0; d < dims; d++) own[d] = add_fused(own[d], weight, all16(rows[i * stride + d]));
  }
  for (int32_t d = 0; d < dims; d++) store16(sums + d * LANES, own[d]);
}

// sums (dim, 16) plus n rows, each times its sixteen weights. dim is even.
static void lane_sums(float *sums, const float *weights, const float *rows, size_t stride, int32_t n, int32_t dim) {
  int32_t d = 0;
  for (; d + LANE_GROUP <= dim; d += LANE_GROUP) {
    lane_sums_of(sums + d * LANES, weights, rows + d, stride, n, LANE_GROUP);
  }
  for (; d < dim; d += 2) lane_sums_of(sums + d * LANES, weights, rows + d, stride, n, 2);
}

// All ones in the lanes for which first + lane >= key.
INLINE i32x16 lanes_from(int32_t first, int32_t key) {
  i32x16 at;
  for (int32_t lane = 0; lane < LANES; lane++) at[lane] = first + lane;
  return at >= key;
}

#endif
