// Scores and weighted values of int8 and int4 caches with the variant's exact product of int8 matrices
// (int8_sums, see dense-matmul.h): a block of keys is a stripe of 16 rows for the queries of a group of
// heads, a stripe of 16 dimensions of values is one for their weights.
#ifndef BITNET_ATTEND_CODES_H
#define BITNET_ATTEND_CODES_H

#include "../dense-matmul/dense-matmul.h"
#include "cache.h"
#include "head-group.h"

// What a variant's int8_sums multiplies is code + STORED_BIAS; what is stored, unless it says otherwise.
#ifndef STORED_BIAS
#define STORED_BIAS 128
#endif

typedef uint8_t u8x64 __attribute__((vector_size(64)));
typedef uint8_t u8x64_any __attribute__((vector_size(64), aligned(1), may_alias));

// One stripe by the planes of all heads.
INLINE void group_sums(const int32_t group, const uint8_t *stripe, int32_t words,
                       const int8_t *planes, size_t stride, size_t plane, i32x16 *H, i32x16 *L) {
  int32_t g = 0;
  if (group <= INT8_TOKENS) {
    int8_sums(group, stripe, words, planes, stride, plane, H, L);
    return;
  }
  for (; g + INT8_TOKENS <= group; g += INT8_TOKENS) {
    int8_sums(INT8_TOKENS, stripe, words, planes + g * stride, stride, plane, H + g, L + g);
  }
  for (; g < group; g++) {
    int8_sums(1, stripe, words, planes + g * stride, stride, plane, H + g, L + g);
  }
}

// 256 H + L without the bias, given the sums of the planes themselves. Of at most 256 codes it is below 2^31,
// see reference.ts, whatever bits above are lost on the way.
INLINE f32x16 joined_sums(i32x16 H, i32x16 L, int32_t of_high, int32_t of_low) {
  const uint32_t bias = (uint32_t)STORED_BIAS * (uint32_t)(of_high * 256 + of_low);
  return __builtin_convertvector((i32x16)(((u32x16)H << 8) + (u32x16)L - bias), f32x16);
}

// Two stripes of int8 from bytes with two codes each.
INLINE void unpack_codes(uint8_t *low, uint8_t *high, const uint8_t *from, int32_t bytes) {
  for (int32_t i = 0; i < bytes; i += 64) {
    const u8x64 both = *(const u8x64_any *)(from + i);
    *(u8x64_any *)(low + i) = (both & 15) | 128;
    *(u8x64_any *)(high + i) = both >> 4 | 128;
  }
}

// Splits the queries of a group of heads; for int4 also the sums of each 32 dimensions.
static void split_queries(split_group *s, int32_t group, int32_t type, const float *const *q,
                          int32_t head_dim) {
  const size_t plane = plane_bytes(head_dim), stride = split_stride(head_dim);
  for (int32_t g = 0; g < group; g++) {
    int8_t *planes = s->planes + g * stride;
    split_row(q[g], head_dim, planes);
    if (type != CACHE_INT4) continue;
    const float unit = ((const split_token *)(planes + 2 * plane))->scale;
    for (int32_t from = 0; from < head_dim; from += INT4_GROUP) {
      const int32_t to = head_dim - from < INT4_GROUP ? head_dim : from + INT4_GROUP;
      int32_t high = 0, low = 0;
      for (int32_t d = from; d < to; d++) high += planes[d], low += planes[plane + d];
      const int32_t i = from / INT4_GROUP;
      s->of_high[g][i] = high;
      s->of_low[g][i] = low;
      s->sum[g][i] = (float)(high * 256 + low) * unit;
    }
  }
}

// q . key of 16 positions for each head. `group` and `type` are constants to the compiler, here and
// below.
INLINE void code_products(const int32_t group, const int32_t type, const head_group *h,
                          const uint8_t *block, f32x16 total[HEAD_GROUP]) {
  const int32_t head_dim = h->head_dim;
  const size_t plane = plane_bytes(head_dim), stride = split_stride(head_dim);
  const split_group *s = h->split;
  const uint8_t *codes = block + h->layout.header * KEY_BLOCK;
  i32x16 H[HEAD_GROUP], L[HEAD_GROUP];
  if (type == CACHE_INT8) {
    const f32x16 scale = load_f16((const uint16_t *)block);
    group_sums(group, codes, (head_dim + 3) / 4, s->planes, stride, plane, H, L);
    for (int32_t g = 0; g < group; g++) {
      const split_token *token = (const split_token *)(s->planes + g * stride + 2 * plane);
      const f32x16 dot = joined_sums(H[g], L[g], token->hi_sum, token->lo_sum);
      total[g] = dot * (scale * token->scale);
    }
    return;
  }
  for (int32_t g = 0; g < group; g++) total[g] = all16(0.0f);
  for (int32_t from = 0; from < head_dim; from += INT4_GROUP) {
    const int32_t n = head_dim - from < INT4_GROUP ? head_dim - from : INT4_GROUP;
    const int32_t i = from / INT4_GROUP;
    uint8_t stripe[INT4_GROUP * KEY_BLOCK];
    unpack_codes(stripe, stripe + sizeof stripe / 2, codes + (size_t)i * 16 * KEY_BLOCK, 16 * KEY_BLOCK);
    group_sums(group, stripe, (n + 3) / 4, s->planes + from, stride, plane, H, L);
    const uint16_t *header = (const uint16_t *)block + i * 2 * KEY_BLOCK;
    const f32x16 scale = load_f16(header), offset = load_f16(header + KEY_BLOCK);
    for (int32_t g = 0; g < group; g++) {
      const split_token *token = (const split_token *)(s->planes + g * stride + 2 * plane);
      const f32x16 dot = joined_sums(H[g], L[g], s->of_high[g][i], s->of_low[g][i]);
      total[g] = total[g] + (dot * (scale * token->scale) + offset * s->sum[g][i]);
    }
  }
}

// Splits weight * scale of `count` positions, zero up to `padded`; with offsets also sums weight *
// offset.
INLINE void split_weights(int8_t *planes, const float *weight, const uint16_t *scales,
                          const uint16_t *offsets, int32_t count, int32_t padded, float *shift) {
  const i32x16 lane = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
  float scaled[ATTENTION_CHUNK];
  f32x16 shifts = all16(0.0f);
  for (int32_t i = 0; i < count; i += LANES) {
    const f32x16 e = load16(weight + i);
    store16(scaled + i, e * load_f16(scales + i));
    if (offsets == 0) continue;
    const i32x16 there = lane < count - i;  // what follows may be no numbers
    shifts = shifts + (f32x16)((i32x16)(e * load_f16(offsets + i)) & there);
  }
  for (int32_t i = count > 0 ? count : 0; i < padded; i++) scaled[i] = 0.0f;
  split_row(scaled, padded, planes);
  if (offsets != 0) *shift = sum_lanes(shifts);
}

// One stripe of 16 dimensions into o.
INLINE void weigh_stripe(const int32_t group, const uint8_t *stripe, int32_t count,
                         const int8_t *planes, float *o, int32_t o_stride, const float *shift) {
  const size_t plane = plane_bytes(count), stride = split_stride(count);
  i32x16 H[HEAD_GROUP], L[HEAD_GROUP];
  group_sums(group, stripe, (count + 3) / 4, planes, stride, plane, H, L);
  for (int32_t g = 0; g < group; g++) {
    const split_token *token = (const split_token *)(planes + g * stride + 2 * plane);
    f32x16 sum = joined_sums(H[g], L[g], token->hi_sum, token->lo_sum) * token->scale;
    if (shift != 0) sum = sum + shift[g];
    store16(o + g * o_stride, sum);
  }
}

// The values of a chunk. Queries that look at fewer positions than the most have weights of zero for the
// rest, which add nothing to an integer sum.
INLINE void weigh_codes(const int32_t group, const int32_t type, const head_group *h,
                        const uint8_t *values, float weight[HEAD_GROUP][ATTENTION_CHUNK],
                        float *o) {
  const int32_t value_dim = h->value_dim, count = h->most;
  const size_t stride = split_stride(count);
  const uint8_t *codes = values + h->layout.header * ATTENTION_CHUNK;
  _Alignas(64) int8_t planes[HEAD_GROUP * (2 * ATTENTION_CHUNK + sizeof(split_token))];
  if (type == CACHE_INT8) {
    const uint16_t *scales = (const uint16_t *)values;
    for (int32_t g = 0; g < group; g++) {
      split_weights(planes + g * stride, weight[g], scales, 0, h->count[g], count, 0);
    }
    for (int32_t d = 0; d < value_dim; d += LANES) {
      weigh_stripe(group, codes + (size_t)d * ATTENTION_CHUNK, count, planes, o + d, value_dim, 0);
    }
    return;
  }
  const int32_t used = (count + 3) / 4 * 64;
  for (int32_t d = 0; d < value_dim; d += INT4_GROUP, codes += 16 * ATTENTION_CHUNK) {
    const uint16_t *scales = (const uint16_t *)values + (size_t)d / INT4_GROUP * 2 * ATTENTION_CHUNK;
    float shift[HEAD_GROUP];
    for (int32_t g = 0; g < group; g++) {
      split_weights(planes + g * stride, weight[g], scales, scales + ATTENTION_CHUNK, h->count[g],
                    count, &shift[g]);
    }
    uint8_t low[LANES * ATTENTION_CHUNK], high[LANES * ATTENTION_CHUNK];
    unpack_codes(low, high, codes, used);
    weigh_stripe(group, low, count, planes, o + d, value_dim, shift);
    if (d + LANES >= value_dim) continue;
    weigh_stripe(group, high, count, planes, o + d + LANES, value_dim, shift);
  }
}

#endif
