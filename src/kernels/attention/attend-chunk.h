// One chunk of positions for the query heads of a group: scores, softmax, weighted values. The order of
// the sums is in reference.ts; what is chosen here is only how many of them run side by side.
#ifndef BITNET_ATTEND_CHUNK_H
#define BITNET_ATTEND_CHUNK_H

#include "cache.h"

#define ATTENTION_CHUNK 256
// Query heads that share one pass over keys and values, and the widest head.
#define HEAD_GROUP 4
#define MAX_HEAD_DIM 256
#define MAX_GROUPS (MAX_HEAD_DIM / INT4_GROUP)

// Sums of 16 lanes that are held in registers at a time: enough to hide the latency of additions, few
// enough that they are not spilled.
#if defined(__AVX512F__)
#define KEY_SUMS 8
#define VALUE_SUMS 16
#else
#define KEY_SUMS 4
#define VALUE_SUMS 4
#endif
#define MAX_SIDE 8
// Positions whose values are gone through once for all dimensions, while they are in the first cache.
#define VALUE_TILE 64

typedef struct {
  float max;
  float sum;
} softmax_state;

// What a group of heads has in common.
typedef struct {
  int32_t type;
  int32_t head_dim;
  int32_t value_dim;  // head_dim, padded to 16
  float scale;
  cache_layout layout;
  const float *q;                            // (group, head_dim)
  float q_sums[HEAD_GROUP][MAX_GROUPS];      // only for int4: of each 32 dimensions
} head_shape;

INLINE void sum_queries(head_shape *h, int32_t group) {
  const int32_t groups = (h->head_dim + INT4_GROUP - 1) / INT4_GROUP;
  for (int32_t g = 0; g < group; g++) {
    for (int32_t i = 0; i < groups; i++) h->q_sums[g][i] = 0.0f;
  }
  // Dimensions outside, so that the chains of all sums run side by side.
  for (int32_t d = 0; d < INT4_GROUP; d++) {
    for (int32_t g = 0; g < group; g++) {
      for (int32_t i = 0; i * INT4_GROUP + d < h->head_dim; i++) {
        h->q_sums[g][i] += h->q[g * h->head_dim + i * INT4_GROUP + d];
      }
    }
  }
}

// q . key for `side` blocks of 16 positions. `group`, `type` and `side` are constants to the compiler,
// here and below.
INLINE void key_products(const int32_t group, const int32_t type, const int32_t side,
                         const head_shape *h, const uint8_t *keys,
                         f32x16 total[HEAD_GROUP][MAX_SIDE]) {
  const int32_t head_dim = h->head_dim;
  const float *q = h->q;
  const uint8_t *elements = keys + h->layout.header;
  const size_t stride = h->layout.key_block;
  for (int32_t g = 0; g < group; g++) {
    for (int32_t s = 0; s < side; s++) total[g][s] = all16(0.0f);
  }
  if (type != CACHE_INT4) {
    for (int32_t d = 0; d < head_dim; d++) {
      f32x16 key[MAX_SIDE];
      for (int32_t s = 0; s < side; s++) key[s] = load_elements(type, elements + s * stride, d);
      for (int32_t g = 0; g < group; g++) {
        const float x = q[g * head_dim + d];
        for (int32_t s = 0; s < side; s++) total[g][s] = total[g][s] + key[s] * x;
      }
    }
    if (type != CACHE_INT8) return;
    for (int32_t s = 0; s < side; s++) {
      const f32x16 scale = load_f16((const uint16_t *)(keys + s * stride));
      for (int32_t g = 0; g < group; g++) total[g][s] = total[g][s] * scale;
    }
    return;
  }
  for (int32_t from = 0; from < head_dim; from += INT4_GROUP) {
    const int32_t to = head_dim - from < INT4_GROUP ? head_dim : from + INT4_GROUP;
    f32x16 dot[HEAD_GROUP][MAX_SIDE];
    for (int32_t g = 0; g < group; g++) {
      for (int32_t s = 0; s < side; s++) dot[g][s] = all16(0.0f);
    }
    for (int32_t d = from; d < to; d += 2) {
      f32x16 low[MAX_SIDE], high[MAX_SIDE];
      for (int32_t s = 0; s < side; s++) {
        load_codes4(elements + s * stride + d / 2 * BLOCK, &low[s], &high[s]);
      }
      for (int32_t g = 0; g < group; g++) {
        const float x = q[g * head_dim + d], y = q[g * head_dim + d + 1];
        for (int32_t s = 0; s < side; s++) dot[g][s] = dot[g][s] + low[s] * x;
        for (int32_t s = 0; s < side; s++) dot[g][s] = dot[g][s] + high[s] * y;
      }
    }
    for (int32_t s = 0; s < side; s++) {
      const uint16_t *header = (const uint16_t *)(keys + s * stride) + from * 2 * BLOCK / INT4_GROUP;
      const f32x16 scale = load_f16(header), offset = load_f16(header + BLOCK);
      for (int32_t g = 0; g < group; g++) {
        const float sum = h->q_sums[g][from / INT4_GROUP];
        total[g][s] = total[g][s] + (dot[g][s] * scale + offset * sum);
      }
    }
  }
}

// Scores of all positions, minus infinity after the last, and each head's maximum.
INLINE void score_blocks(const int32_t group, const int32_t type, const int32_t side,
                         const head_shape *h, const uint8_t *keys, int32_t block, int32_t count,
                         float weight[HEAD_GROUP][ATTENTION_CHUNK], f32x16 *peak) {
  const i32x16 lane = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
  f32x16 total[HEAD_GROUP][MAX_SIDE];
  key_products(group, type, side, h, keys + block / BLOCK * h->layout.key_block, total);
  for (int32_t s = 0; s < side; s++) {
    const int32_t first = block + s * BLOCK;
    const i32x16 hidden = lane >= count - first;  // positions after the row's own
    for (int32_t g = 0; g < group; g++) {
      const f32x16 score = select16(hidden, all16(-__builtin_inff()), total[g][s] * h->scale);
      store16(weight[g] + first, score);
      peak[g] = max16(peak[g], score);
    }
  }
}

// Scores to weights; returns the sum.
INLINE float exponentials(float *weight, int32_t count, float max) {
  f32x16 sums = all16(0.0f);
  for (int32_t block = 0; block < count; block += BLOCK) {
    const f32x16 score = load16(weight + block);
    const i32x16 hidden = (i32x16)(score == all16(-__builtin_inff()));
    const f32x16 e = (f32x16)((i32x16)exp16(score - max) & ~hidden);
    store16(weight + block, e);
    sums = sums + e;
  }
  return sum_lanes(sums);
}

// Adds weight * value of `tile` positions to `side` registers of o, from register `first` on.
INLINE void add_values(const int32_t group, const int32_t type, const int32_t side,
                       const head_shape *h, const uint8_t *values, int32_t tile, int32_t first,
                       const float *weight, int32_t weight_stride, float *o) {
  const cache_layout *layout = &h->layout;
  f32x16 sum[HEAD_GROUP][MAX_SIDE];
  for (int32_t g = 0; g < group; g++) {
    for (int32_t s = 0; s < side; s++) {
      sum[g][s] = load16(o + g * h->value_dim + (first + s) * LANES);
    }
  }
  for (int32_t block = 0; block < tile; block += BLOCK, values += layout->value_block) {
    const int32_t n = tile - block < BLOCK ? tile - block : BLOCK;
    const uint8_t *row = values + layout->header;
    for (int32_t i = 0; i < n; i++, row += layout->value_row) {
      f32x16 value[MAX_SIDE];
      if (type == CACHE_INT4) {
        f32x16 both[2];
        load_codes4(row + first / 2 * 16, &both[0], &both[1]);
        if (side == 2) value[0] = both[0], value[1] = both[1];
        else value[0] = first & 1 ? both[1] : both[0];
      } else {
        for (int32_t s = 0; s < side; s++) value[s] = load_elements(type, row, first + s);
      }
      for (int32_t g = 0; g < group; g++) {
        const float w = weight[g * weight_stride + block + i];
        for (int32_t s = 0; s < side; s++) sum[g][s] = sum[g][s] + value[s] * w;
      }
    }
  }
  for (int32_t g = 0; g < group; g++) {
    for (int32_t s = 0; s < side; s++) {
      store16(o + g * h->value_dim + (first + s) * LANES, sum[g][s]);
    }
  }
}

// int4: a tile's weights times the scales of group `at`, and weight times offset into `shift`.
INLINE void scale_weights(const int32_t group, const head_shape *h, const uint8_t *values,
                          int32_t tile, int32_t at, const float *weight, float *scaled,
                          f32x16 *shift) {
  const i32x16 lane = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
  for (int32_t block = 0; block < tile; block += BLOCK, values += h->layout.value_block) {
    const uint16_t *header = (const uint16_t *)values + at * 2 * BLOCK;
    const f32x16 scale = load_f16(header), offset = load_f16(header + BLOCK);
    const i32x16 there = lane < tile - block;  // what follows may be no numbers
    for (int32_t g = 0; g < group; g++) {
      const f32x16 e = load16(weight + g * ATTENTION_CHUNK + block);
      store16(scaled + g * VALUE_TILE + block, e * scale);
      shift[g] = shift[g] + (f32x16)((i32x16)(e * offset) & there);
    }
  }
}

INLINE void weigh_values(const int32_t group, const int32_t type, const head_shape *h,
                         const uint8_t *values, int32_t count,
                         float weight[HEAD_GROUP][ATTENTION_CHUNK], float *o) {
  const int32_t registers = h->value_dim / LANES;
  const int32_t room = VALUE_SUMS / group;
  const int32_t side = type == CACHE_INT4 ? (room < 2 ? 1 : 2) : room < MAX_SIDE ? room : MAX_SIDE;
  f32x16 shift[MAX_GROUPS][HEAD_GROUP] = {0};
  for (int32_t i = 0; i < group * h->value_dim; i += LANES) store16(o + i, all16(0.0f));
  for (int32_t from = 0; from < count; from += VALUE_TILE) {
    const int32_t tile = count - from < VALUE_TILE ? count - from : VALUE_TILE;
    const uint8_t *at = values + from / BLOCK * h->layout.value_block;
    const float *w = weight[0] + from;
    int32_t stride = ATTENTION_CHUNK;
    float scaled[HEAD_GROUP * VALUE_TILE];
    int32_t first = 0;
    while (first < registers) {
      if (type == CACHE_INT4 && (first & 1) == 0) {
        scale_weights(group, h, at, tile, first / 2, weight[0] + from, scaled, shift[first / 2]);
        w = scaled;
        stride = VALUE_TILE;
      }
      if (registers - first >= side) {
        add_values(group, type, side, h, at, tile, first, w, stride, o);
        first += side;
      } else {
        add_values(group, type, 1, h, at, tile, first, w, stride, o);
        first++;
      }
    }
  }
  if (type != CACHE_INT4) return;
  for (int32_t g = 0; g < group; g++) {
    for (int32_t r = 0; r < registers; r += 2) {
      const float sum = sum_lanes(shift[r / 2][g]);
      float *to = o + g * h->value_dim + r * LANES;
      store16(to, load16(to) + sum);
      if (r + 1 < registers) store16(to + LANES, load16(to + LANES) + sum);
    }
  }
}

// The weighted values into o (group, value_dim) and each head's maximum and sum.
INLINE void attend_chunk(const int32_t group, const int32_t type, const head_shape *h,
                         const uint8_t *keys, const uint8_t *values, int32_t count,
                         softmax_state *state, float *o) {
  const int32_t side = KEY_SUMS / group;
  float weight[HEAD_GROUP][ATTENTION_CHUNK];
  f32x16 peak[HEAD_GROUP];
  for (int32_t g = 0; g < group; g++) peak[g] = all16(-__builtin_inff());
  int32_t block = 0;
  for (; block + (side - 1) * BLOCK < count; block += side * BLOCK) {
    score_blocks(group, type, side, h, keys, block, count, weight, peak);
  }
  for (; side > 1 && block < count; block += BLOCK) {
    score_blocks(group, type, 1, h, keys, block, count, weight, peak);
  }
  for (int32_t g = 0; g < group; g++) {
    const float max = max_lanes(peak[g]);
    state[g] = (softmax_state){max, exponentials(weight[g], count, max)};
  }
  if (type == CACHE_INT8) {
    for (int32_t b = 0; b < count; b += BLOCK) {
      const uint8_t *header = values + b / BLOCK * h->layout.value_block;
      const f32x16 scale = load_f16((const uint16_t *)header);
      for (int32_t g = 0; g < group; g++) store16(weight[g] + b, load16(weight[g] + b) * scale);
    }
  }
  weigh_values(group, type, h, values, count, weight, o);
}

#endif
