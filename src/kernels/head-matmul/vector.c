// The head's product around the nibble sums: all rows nearly, then the best stripes exactly; see
// reference.ts.
//
// Scratch: the split tokens; the maximum of every stripe, (tokens, stripes padded to 16) int32; the
// stripes that were chosen, (tokens, exact stripes) int32.
#include "../dense-matmul/dense-matmul.h"
#include "largest.h"

#ifndef HEAD_TOKENS
#include "portable.c"
#endif

// A task of the first pass is four stripes: 64 rows of the output.
#define HEAD_STRIPES 4
// Columns that are put together again at a time: a block of 4 KiB.
#define HEAD_BLOCK 256
// Tiles of a stripe whose low nibbles are copied at once, where they are in a file: 32 KiB.
#define COPIED_TILES 512
// A task of the last pass: the chosen ones of so many stripes, for so many tokens. They are not spread
// evenly, so that pieces are small.
#define EXACT_RANGE 16
#define EXACT_TOKENS 8

INLINE int32_t head_stripes(const head_matmul_command *c) { return (c->weights_rows + 15) / 16; }
INLINE int32_t padded_stripes(const head_matmul_command *c) { return (head_stripes(c) + 15) & ~15; }
INLINE int32_t exact_stripes(const head_matmul_command *c) {
  return c->exact_stripes < head_stripes(c) ? c->exact_stripes : head_stripes(c);
}
INLINE int32_t exact_ranges(const head_matmul_command *c) {
  return (head_stripes(c) + EXACT_RANGE - 1) / EXACT_RANGE;
}
INLINE int32_t *stripe_maxima(const head_matmul_command *c) {
  return (int32_t *)((char *)c->scratch + (size_t)c->rows * split_stride(c->weights_cols));
}
INLINE int32_t *chosen_stripes(const head_matmul_command *c) {
  return stripe_maxima(c) + (size_t)c->rows * padded_stripes(c);
}

enum { head_matmul_phases = 4 };

static work_plan head_matmul_plan(const head_matmul_command *c, int32_t phase, int32_t threads) {
  const int32_t tokens = c->rows;
  switch (phase) {
    case 0:
    case 2:
      return tokens < 4 ? one_piece(tokens) : split_evenly(tokens, threads);
    case 1:
      return split_evenly((head_stripes(c) + HEAD_STRIPES - 1) / HEAD_STRIPES, threads);
    default:
      return (work_plan){(tokens + EXACT_TOKENS - 1) / EXACT_TOKENS * exact_ranges(c), 2};
  }
}

INLINE void near_block(const head_matmul_command *c, const int32_t tokens, int32_t token, int32_t stripe) {
  const int32_t rows = c->weights_rows, cols = c->weights_cols, tiles = (cols + 7) / 8, n = rows - stripe * 16;
  const size_t stride = split_stride(cols), plane = plane_bytes(cols);
  const uint8_t *w = c->weights_data + (size_t)stripe * tiles * 64;
  const int8_t *planes = (const int8_t *)c->scratch + token * stride;
  i32x16 S[HEAD_TOKENS];
  nibble_sums(tokens, w, tiles, planes, stride, S);
  for (int32_t t = 0; t < tokens; t++) {
    const split_token *split = (const split_token *)(planes + t * stride + 2 * plane);
    const f32x16 scale = load16(c->weights_scales + stripe * 16) * (split->scale * 128.0f);
    const f32x16 y = __builtin_convertvector(S[t] * 32 - 241 * split->hi_sum, f32x16) * scale;
    store_first(c->out + (size_t)(token + t) * rows + stripe * 16, y, n);
    i32x16 order = order_of(y);
    for (int32_t i = n; i < 16; i++) order[i] = order[0];
    int32_t largest = order[0];
    for (int32_t i = 1; i < 16; i++) largest = order[i] > largest ? order[i] : largest;
    stripe_maxima(c)[(size_t)(token + t) * padded_stripes(c) + stripe] = largest;
  }
}

// Writes the stripes with the largest maxima, those of lower index first where maxima are equal.
INLINE void choose_stripes(const head_matmul_command *c, int32_t token) {
  const int32_t stripes = head_stripes(c), padded = padded_stripes(c), wanted = exact_stripes(c);
  int32_t *maxima = stripe_maxima(c) + (size_t)token * padded;
  int32_t *chosen = chosen_stripes(c) + (size_t)token * wanted;
  // The lowest order there is: padding never reaches a limit that is above it.
  for (int32_t i = stripes; i < padded; i++) maxima[i] = INT32_MIN;
  const int32_t least = kth_largest(maxima, padded, wanted);
  int32_t ties = wanted, n = 0;
  for (int32_t i = 0; i < stripes; i++) ties -= maxima[i] > least;
  for (int32_t i = 0; i < stripes; i++) {
    if (maxima[i] > least || (maxima[i] == least && ties-- > 0)) chosen[n++] = i;
  }
}

// The int8 product of one stripe by the `n` tokens that want it; its bytes are put together once, a block
// at a time. Asks meanwhile for the stripe `next`, which lies anywhere: no processor guesses it. Low nibbles
// in a file are copied, to the cache next to this core.
INLINE void exact_stripe(const head_matmul_command *c, const int32_t *wanting, int32_t n, int32_t stripe,
                         int32_t next) {
  const int32_t rows = c->weights_rows, cols = c->weights_cols, tiles = (cols + 7) / 8;
  const size_t stride = split_stride(cols), plane = plane_bytes(cols);
  const size_t plane_tiles = (size_t)head_stripes(c) * tiles * 64;
  const uint8_t *high = c->weights_data + (size_t)stripe * tiles * 64;
  const int32_t in_memory = !is_in_file(c->sparse);
  const ptrdiff_t ahead = ((ptrdiff_t)next - stripe) * tiles * 64;
  const int8_t *planes = (const int8_t *)c->scratch;
  uint8_t block[HEAD_BLOCK * 16], room[COPIED_TILES * 64];
  const uint8_t *low = NULL;
  i32x16 H[EXACT_TOKENS], L[EXACT_TOKENS];
  for (int32_t t = 0; t < n; t++) H[t] = L[t] = (i32x16){0};
  for (int32_t tile = 0; tile < tiles; tile += HEAD_BLOCK / 8) {
    const int32_t count = tiles - tile < HEAD_BLOCK / 8 ? tiles - tile : HEAD_BLOCK / 8;
    const int32_t copied = tile % COPIED_TILES;
    if (copied == 0) {
      const int32_t part = tiles - tile < COPIED_TILES ? tiles - tile : COPIED_TILES;
      low = sparse_bytes(c->sparse, high + plane_tiles + (size_t)tile * 64, (size_t)part * 64, room);
    }
    for (int32_t i = 0; i < count; i++) {
      const size_t at = (size_t)(tile + i) * 64;
      __builtin_prefetch(high + at + ahead, 0, 2);
      const uint8_t *of_low = low + (size_t)(copied + i) * 64;
      if (in_memory) __builtin_prefetch(of_low + ahead, 0, 2);
      const u32x16 h = (u32x16) * (const i32x16_any *)(high + at);
      const u32x16 l = (u32x16) * (const i32x16_any *)of_low;
      i32x16_any *out = (i32x16_any *)(block + i * 128);
      out[0] = (i32x16)((h << 4 & 0xf0f0f0f0) | (l & 0x0f0f0f0f));
      out[1] = (i32x16)((h & 0xf0f0f0f0) | (l >> 4 & 0x0f0f0f0f));
    }
    for (int32_t t = 0; t < n; t++) {
      const int8_t *from = planes + wanting[t] * stride + (size_t)tile * 8;
      i32x16 block_h[INT8_TOKENS], block_l[INT8_TOKENS];
      int8_sums(1, block, 2 * count, from, stride, plane, block_h, block_l);
      H[t] += block_h[0];
      L[t] += block_l[0];
    }
  }
  const f32x16 row_scales = load16(c->weights_scales + stripe * 16);
  for (int32_t t = 0; t < n; t++) {
    const int8_t *of_token = planes + wanting[t] * stride;
    const f32x16 y =
        int8_result(H[t], L[t], (const split_token *)(of_token + 2 * plane), row_scales);
    float *out = c->out + (size_t)wanting[t] * rows + stripe * 16;
    store_first(out, y, rows - stripe * 16);
  }
}

// How many of the chosen stripes, which ascend, are below `stripe`.
INLINE int32_t count_below(const int32_t *chosen, int32_t count, int32_t stripe) {
  int32_t from = 0, to = count;
  while (from < to) {
    const int32_t middle = (from + to) / 2;
    if (chosen[middle] < stripe) from = middle + 1;
    else to = middle;
  }
  return from;
}

// The chosen stripes of a range for a block of tokens, in order.
INLINE void exact_task(const head_matmul_command *c, int32_t task) {
  const int32_t stripes = head_stripes(c), exact = exact_stripes(c), ranges = exact_ranges(c);
  const int32_t token = task / ranges * EXACT_TOKENS, begin = task % ranges * EXACT_RANGE;
  const int32_t left = c->rows - token, tokens = left < EXACT_TOKENS ? left : EXACT_TOKENS;
  const int32_t *chosen[EXACT_TOKENS], *end[EXACT_TOKENS];
  int32_t next = stripes;
  for (int32_t t = 0; t < tokens; t++) {
    const int32_t *all = chosen_stripes(c) + (size_t)(token + t) * exact;
    chosen[t] = all + count_below(all, exact, begin);
    end[t] = all + exact;
    if (chosen[t] < end[t] && *chosen[t] < next) next = *chosen[t];
  }
  while (next < begin + EXACT_RANGE && next < stripes) {
    const int32_t stripe = next;
    int32_t wanting[EXACT_TOKENS], n = 0;
    next = stripes;
    for (int32_t t = 0; t < tokens; t++) {
      if (chosen[t] == end[t]) continue;
      if (*chosen[t] == stripe) {
        wanting[n++] = token + t;
        if (++chosen[t] == end[t]) continue;
      }
      if (*chosen[t] < next) next = *chosen[t];
    }
    exact_stripe(c, wanting, n, stripe, next < stripes ? next : stripe);
  }
}

INLINE void near_task(const head_matmul_command *c, int32_t stripe, int32_t end) {
  for (; stripe < end; stripe++) {
#define PRODUCT(n, token) near_block(c, n, token, stripe)
    EACH_TOKEN_BLOCK(HEAD_TOKENS, c->rows, PRODUCT);
#undef PRODUCT
  }
}

static void head_matmul_run(const head_matmul_command *c, int32_t phase, int32_t first, int32_t last) {
  const int32_t cols = c->weights_cols, stripes = head_stripes(c);
  for (int32_t task = first; task < last; task++) {
    const int32_t stripe = task * HEAD_STRIPES;
    switch (phase) {
      case 0:
        split_row(c->x + (size_t)task * cols, cols,
                  (int8_t *)c->scratch + task * split_stride(cols));
        break;
      case 1:
        near_task(c, stripe, stripe + HEAD_STRIPES < stripes ? stripe + HEAD_STRIPES : stripes);
        break;
      case 2:
        choose_stripes(c, task);
        break;
      default:
        exact_task(c, task);
    }
  }
}
