// One chunk of positions for a group of heads: scores, softmax, weighted values. The order of the sums
// is in reference.ts; what is chosen here is only how many of them run side by side.
#ifndef BITNET_ATTEND_CHUNK_H
#define BITNET_ATTEND_CHUNK_H

#include "attend-codes.h"
#include "head-group.h"
#ifdef __wasm__
#include "wasm-quarters.h"
#endif

// Sums of 16 lanes that are held in registers at a time: enough to hide the latency of additions, few
// enough that they are not spilled. Four sums of key products let each element of a query go from
// memory straight into a product; with eight it is copied to a register first, which costs more.
#if defined(__AVX512F__)
#define KEY_SUMS 4
#define VALUE_SUMS 16
#elif defined(__wasm__)
// One block of keys, or register of values, at a time, in quarters; see wasm-quarters.h.
#define KEY_SUMS 1
#define VALUE_SUMS 1
#else
#define KEY_SUMS 4
#define VALUE_SUMS 4
#endif
#define MAX_SIDE 8
// Positions whose values are gone through once for all dimensions, while they are in the first cache.
#define VALUE_TILE 64
#define CACHE_LINE_BYTES 64

// Positions after which what is asked for now is read: arithmetic keeps the processor from looking ahead
// itself, and memory answers after about as long as it multiplies two blocks. Of fewer positions the values
// are asked for while their keys are read, and the next keys while the values are.
#define POSITIONS_AHEAD 64

// sum + element * x, where x is a short float if elements are halves.
INLINE f32x16 add_product(int32_t type, f32x16 sum, f32x16 element, float x) {
  return type == CACHE_F16 ? add_exact(sum, element, all16(x)) : sum + element * x;
}

// Asks for memory that is read soon.
INLINE void prefetch(const uint8_t *p, size_t bytes) {
  for (size_t i = 0; i < bytes; i += CACHE_LINE_BYTES) __builtin_prefetch(p + i, 0, 2);
}

// q . key for `side` blocks of 16 positions; asks for as many bytes at `ahead`. `group`, `type` and
// `side` are constants to the compiler, here and below.
INLINE void key_products(const int32_t group, const int32_t type, const int32_t side,
                         const head_group *h, const uint8_t *keys, const uint8_t *ahead,
                         f32x16 total[MAX_SIDE][HEAD_GROUP]) {
  const size_t stride = (h->layout.header + h->layout.key) * KEY_BLOCK;
  if (type == CACHE_INT8 || type == CACHE_INT4) {
    for (int32_t s = 0; s < side; s++) {
      prefetch(ahead + s * stride, stride);
      code_products(group, type, h, keys + s * stride, total[s]);
    }
    return;
  }
  const int32_t head_dim = h->head_dim;
  for (int32_t s = 0; s < side; s++) {
    for (int32_t g = 0; g < group; g++) total[s][g] = all16(0.0f);
  }
#ifdef __wasm__
  const int32_t half = type == CACHE_F16;
  if (quarter_products(group, half, keys, half ? 32 : 64, head_dim, h->q, total[0])) return;
#endif
  for (int32_t d = 0; d < head_dim; d++) {
    f32x16 key[MAX_SIDE];
    for (int32_t s = 0; s < side; s++) {
      const uint8_t *block = keys + s * stride;
      key[s] = load_elements(type, block, d);
      // A line holds one dimension of floats or two of halves.
      if (type == CACHE_F32) prefetch(ahead + s * stride + (size_t)d * 64, 64);
      if (type == CACHE_F16 && d % 2 == 0) prefetch(ahead + s * stride + (size_t)d * 32, 64);
    }
    for (int32_t g = 0; g < group; g++) {
      const float x = h->q[g][d];
      for (int32_t s = 0; s < side; s++) total[s][g] = add_product(type, total[s][g], key[s], x);
    }
  }
}

// Scores of all positions, minus infinity after the last, and each head's maximum.
INLINE void score_blocks(const int32_t group, const int32_t type, const int32_t side,
                         const head_group *h, const uint8_t *keys, const uint8_t *ahead,
                         int32_t block, float weight[HEAD_GROUP][ATTENTION_CHUNK], f32x16 *peak) {
  const i32x16 lane = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
  f32x16 total[MAX_SIDE][HEAD_GROUP];
  const size_t bytes = h->layout.header + h->layout.key;
  key_products(group, type, side, h, keys + block * bytes, ahead, total);
  for (int32_t s = 0; s < side; s++) {
    const int32_t first = block + s * KEY_BLOCK;
    for (int32_t g = 0; g < group; g++) {
      // Positions after the row's own and before its window.
      const i32x16 hidden = (lane >= h->count[g] - first) | (lane < h->skipped - first);
      const f32x16 score = select16(hidden, all16(-__builtin_inff()), total[s][g] * h->scale);
      store16(weight[g] + first, score);
      peak[g] = max16(peak[g], score);
    }
  }
}

// Scores to weights, short floats for halves; returns the sum.
INLINE float exponentials(const int32_t type, float *weight, int32_t count, float max) {
  f32x16 sums = all16(0.0f);
  for (int32_t block = 0; block < count; block += KEY_BLOCK) {
    const f32x16 score = load16(weight + block);
    const i32x16 hidden = (i32x16)(score == all16(-__builtin_inff()));
    f32x16 e = (f32x16)((i32x16)exp16(score - max) & ~hidden);
    if (type == CACHE_F16) e = short16(e);
    store16(weight + block, e);
    sums = sums + e;
  }
  return sum_lanes(sums);
}

// Adds weight * value of `tile` positions to `side` registers of o, from register `first` on; asks for
// the same parts of as many rows at `ahead`, so that memory is asked for all the time.
INLINE void add_values(const int32_t group, const int32_t type, const int32_t side,
                       const head_group *h, const uint8_t *values, const uint8_t *ahead,
                       int32_t tile, int32_t first, const float *weight, float *o) {
  const size_t row = h->layout.value, bytes = type == CACHE_F32 ? 64 : 32;
  f32x16 sum[HEAD_GROUP][MAX_SIDE];
  for (int32_t g = 0; g < group; g++) {
    for (int32_t s = 0; s < side; s++) {
      sum[g][s] = load16(o + g * h->value_dim + (first + s) * LANES);
    }
  }
#ifdef __wasm__
  const int32_t half = type == CACHE_F16;
  const float *weights[HEAD_GROUP];
  f32x16 quick[HEAD_GROUP];
  for (int32_t g = 0; g < group; g++) {
    weights[g] = weight + g * ATTENTION_CHUNK;
    quick[g] = sum[g][0];
  }
  const uint8_t *at = values + first * (half ? 32 : 64);
  if (quarter_products(group, half, at, row, tile, weights, quick)) {
    for (int32_t g = 0; g < group; g++) store16(o + g * h->value_dim + first * LANES, quick[g]);
    return;
  }
#endif
  for (int32_t i = 0; i < tile; i++, values += row) {
    prefetch(ahead + i * row + first * bytes, side * bytes);
    f32x16 value[MAX_SIDE];
    for (int32_t s = 0; s < side; s++) value[s] = load_elements(type, values, first + s);
    for (int32_t g = 0; g < group; g++) {
      const float w = weight[g * ATTENTION_CHUNK + i];
      for (int32_t s = 0; s < side; s++) sum[g][s] = add_product(type, sum[g][s], value[s], w);
    }
  }
  for (int32_t g = 0; g < group; g++) {
    for (int32_t s = 0; s < side; s++) {
      store16(o + g * h->value_dim + (first + s) * LANES, sum[g][s]);
    }
  }
}

// Adds weight * value of position i to o of the queries that look at it.
INLINE void add_last_values(const int32_t group, const int32_t type, const head_group *h,
                            const uint8_t *values, int32_t i,
                            float weight[HEAD_GROUP][ATTENTION_CHUNK], float *o) {
  for (int32_t g = 0; g < group; g++, o += h->value_dim) {
    if (i >= h->count[g]) continue;
    for (int32_t r = 0; r < h->value_dim / LANES; r++) {
      const f32x16 value = load_elements(type, values + i * h->layout.value, r);
      store16(o + r * LANES, load16(o + r * LANES) + value * weight[g][i]);
    }
  }
}

INLINE void weigh_floats(const int32_t group, const int32_t type, const head_group *h,
                         const uint8_t *values, const uint8_t *next,
                         float weight[HEAD_GROUP][ATTENTION_CHUNK], float *o) {
  const int32_t registers = h->value_dim / LANES, count = h->least;
  // Eight queries are enough, and each weight is then an operand of its product; see KEY_SUMS.
  const int32_t room = group > ROW_HEADS || group > VALUE_SUMS ? 1 : VALUE_SUMS / group;
  const int32_t side = room < MAX_SIDE ? room : MAX_SIDE, half = side / 2;
  for (int32_t i = 0; i < group * h->value_dim; i += LANES) store16(o + i, all16(0.0f));
  for (int32_t from = 0; from < count; from += VALUE_TILE) {
    const int32_t tile = count - from < VALUE_TILE ? count - from : VALUE_TILE;
    const uint8_t *at = values + from * h->layout.value;
    const uint8_t *ahead = from + VALUE_TILE < count ? at + VALUE_TILE * h->layout.value : next;
    const float *w = weight[0] + from;
    int32_t first = 0;
    // A last tile that is short asks for too little of what is next.
    if (from > 0 && tile < VALUE_TILE) prefetch(next + tile * h->layout.key, (VALUE_TILE - tile) * h->layout.key);
    for (; first + side <= registers; first += side) {
      add_values(group, type, side, h, at, ahead, tile, first, w, o);
    }
    // Narrow heads have fewer registers than there is room for; one alone waits for its own last addition.
    for (; half > 1 && first + half <= registers; first += half) {
      add_values(group, type, half, h, at, ahead, tile, first, w, o);
    }
    for (; first < registers; first++) {
      add_values(group, type, 1, h, at, ahead, tile, first, w, o);
    }
  }
  for (int32_t i = count > 0 ? count : 0; i < h->most; i++) {
    add_last_values(group, type, h, values, i, weight, o);
  }
}

// What is read AHEAD positions after a block of keys: another block, or the first values.
INLINE const uint8_t *ahead_of(const head_group *h, const uint8_t *keys, const uint8_t *values,
                               int32_t block) {
  const int32_t most = (h->most + KEY_BLOCK - 1) / KEY_BLOCK * KEY_BLOCK;
  const int32_t ahead = most < POSITIONS_AHEAD ? most : POSITIONS_AHEAD;
  const int32_t position = block + ahead, beyond = position - most;
  if (beyond < 0) return keys + position * (h->layout.header + h->layout.key);
  return values + beyond * (h->layout.header + h->layout.value);
}

// The weighted values into o (group, value_dim), and each query's maximum and sum. `next` has the keys that
// are wanted after these values.
INLINE void attend_chunk(const int32_t group, const int32_t type, const head_group *h,
                         const uint8_t *keys, const uint8_t *values, const uint8_t *next,
                         softmax_state *state, float *o) {
  const int32_t is_codes = type == CACHE_INT8 || type == CACHE_INT4;
  const int32_t side = is_codes || group > KEY_SUMS ? 1 : KEY_SUMS / group;
  float weight[HEAD_GROUP][ATTENTION_CHUNK];
  f32x16 peak[HEAD_GROUP];
  for (int32_t g = 0; g < group; g++) peak[g] = all16(-__builtin_inff());
  int32_t block = 0;
  for (; block + (side - 1) * KEY_BLOCK < h->most; block += side * KEY_BLOCK) {
    score_blocks(group, type, side, h, keys, ahead_of(h, keys, values, block), block, weight, peak);
  }
  for (; side > 1 && block < h->most; block += KEY_BLOCK) {
    score_blocks(group, type, 1, h, keys, ahead_of(h, keys, values, block), block, weight, peak);
  }
  for (int32_t g = 0; g < group; g++) {
    const float max = max_lanes(peak[g]);
    state[g] = (softmax_state){max, exponentials(type, weight[g], h->count[g], max)};
  }
  if (is_codes) weigh_codes(group, type, h, values, weight, o);
  else weigh_floats(group, type, h, values, next, weight, o);
}

#endif
