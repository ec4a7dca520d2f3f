// Draws a token from a row's logits, or from those of its tokens that can matter; see reference.ts.
//
// The end of a front of the ranking is found by its logit's bits, eleven at a time: buckets of logits that
// begin with the same bits say in which of them it lies. Logits of a row begin with few different bits: lanes
// have buckets of their own, or each sum would wait for the one before. Fronts are short: before any of that,
// what lies in none is left out. Scratch, for each row: the buckets, and what is left.
#ifndef BITNET_DRAW_H
#define BITNET_DRAW_H

#include "../c/kernel.h"
#include "random.h"

typedef uint64_t u64x16 __attribute__((vector_size(128)));

// All above `logit`, and of those with it the tokens up to `token`.
typedef struct {
  float logit;
  int32_t token;
} sample_front;

typedef struct {
  const float *logits;
  // Ascending; NULL where all are there.
  const int32_t *tokens;
  int32_t cols;
  float largest, inverse;
} sample_row;

INLINE float setting_float(const int32_t *settings, int32_t which) {
  float value;
  __builtin_memcpy(&value, settings + which, sizeof value);
  return value;
}

// Lanes past the end are `rest`.
INLINE f32x16 logits_or(const float *x, int32_t n, float rest) {
  if (n >= LANES) return load16(x);
  f32x16 v = all16(rest);
  for (int32_t i = 0; i < n; i++) v[i] = x[i];
  return v;
}

INLINE i32x16 tokens_from(int32_t first) {
  return (i32x16){0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15} + first;
}

INLINE i32x16 tokens_at(const sample_row *row, int32_t i) {
  if (row->tokens == NULL) return tokens_from(i);
  return *(const i32x16_any *)(row->tokens + i);
}

// What is no number is in no front.
INLINE i32x16 in_front(f32x16 logits, i32x16 tokens, sample_front front) {
  const f32x16 end = all16(front.logit);
  return (logits > end) | ((logits == end) & (tokens <= front.token));
}

INLINE f32x16 gaps_of(const sample_row *row, f32x16 logits) {
  return (row->largest - logits) * row->inverse;
}

// The first token with the largest logit, or -1.
static int32_t best_token(const float *x, int32_t cols) {
  const float lowest = -__builtin_inff();
  f32x16 largest = all16(lowest);
  i32x16 strange = {0};
  for (int32_t i = 0; i < cols; i += LANES) {
    const f32x16 v = logits_or(x + i, cols - i, lowest);
    largest = max16(v, largest);
    strange |= v != v;
  }
  const float found = max_lanes(largest);
  if (any16(strange) || !(found > lowest) || found == -lowest) return -1;
  int32_t best = 0;
  while (x[best] != found) best++;
  return best;
}

// Larger logits have larger keys, zeros of both signs the same.
INLINE u32x16 rank_keys(f32x16 logits) {
  const u32x16 bits = (u32x16)(logits + 0.0f);
  return bits ^ ((u32x16)((i32x16)bits >> 31) | 0x80000000u);
}

INLINE float logit_of_key(uint32_t key) {
  const uint32_t bits = key >> 31 ? key ^ 0x80000000u : ~key;
  float logit;
  __builtin_memcpy(&logit, &bits, sizeof logit);
  return logit;
}

INLINE i32x16 weights_of(const sample_row *row, f32x16 logits) {
  return __builtin_convertvector(exp16(-gaps_of(row, logits)) * (float)WEIGHT_ONE, i32x16);
}

// The fraction top_p / TOP_P_ONE of a sum of weights, rounded up.
INLINE uint64_t share_of(uint64_t total, int32_t top_p) {
  const uint64_t high = total / TOP_P_ONE, low = total % TOP_P_ONE;
  const uint64_t p = top_p > 0 ? (uint64_t)top_p : 1;
  return high * p + (low * p + (TOP_P_ONE - 1)) / TOP_P_ONE;
}

// Within one of these gaps most fronts end.
static const float sample_gaps[] = {1.0f, 2.5f, 4.0f, 6.0f, 8.0f, 9.5f};
enum { sample_gap_count = sizeof sample_gaps / sizeof *sample_gaps };

// What a front of `within` can have in it, of so many tokens, or with the share top_p of the weights where `count`
// is 0; `wanted` is what it is to reach. All of the row where there is no room for that.
static sample_row narrowed(const sample_row *row, sample_front within, int32_t count, int32_t top_p,
                           void *room, uint64_t *wanted) {
  f32x16 sums[sample_gap_count] = {0};
  u64x16 total = {0};
  for (int32_t i = 0; i < row->cols; i += LANES) {
    const f32x16 logits = logits_or(row->logits + i, row->cols - i, __builtin_nanf(""));
    const i32x16 taken = in_front(logits, tokens_at(row, i), within);
    const i32x16 weights = (count ? (i32x16){0} + 1 : weights_of(row, logits)) & taken;
    const f32x16 gaps = gaps_of(row, logits), weight = __builtin_convertvector(weights, f32x16);
    if (!count) total += __builtin_convertvector(weights, u64x16);
    for (int32_t g = 0; g < sample_gap_count; g++) {
      sums[g] += (f32x16)((i32x16)weight & (gaps <= all16(sample_gaps[g])));
    }
  }
  *wanted = (uint64_t)count;
  if (!count) {
    uint64_t all = 0;
    for (int32_t n = 0; n < LANES; n++) all += total[n];
    *wanted = share_of(all, top_p);
  }
  // Sums of at most 2^21 / 16 floats in each lane are right to 1 %.
  int32_t g = 0;
  while (g < sample_gap_count && sum_lanes(sums[g]) * 0.98f < (float)*wanted) g++;
  if (g == sample_gap_count) return *row;
  float *kept = (float *)room;
  int32_t *tokens = (int32_t *)room + SAMPLE_ROOM, found = 0;
  for (int32_t i = 0; i < row->cols; i += LANES) {
    const f32x16 logits = logits_or(row->logits + i, row->cols - i, __builtin_nanf(""));
    const i32x16 own = tokens_at(row, i);
    const i32x16 taken = in_front(logits, own, within) & (gaps_of(row, logits) <= all16(sample_gaps[g]));
    if (!any16(taken)) continue;
    // Never where `row` is in the room itself: no more was found than was looked at.
    if (found > SAMPLE_ROOM - LANES) return *row;
    float logit[LANES];
    int32_t token[LANES], is_taken[LANES];
    store16(logit, logits);
    *(i32x16_any *)token = own;
    *(i32x16_any *)is_taken = taken;
    for (int32_t n = 0; n < LANES; n++) {
      kept[found] = logit[n];
      tokens[found] = token[n];
      found -= is_taken[n];
    }
  }
  return (sample_row){kept, tokens, found, row->largest, row->inverse};
}

// Tokens among which a front is found without buckets.
#define SHORT_ROW 1024

// The front's last one among those with its logit: `wanted` is what they have to bring to it.
static sample_front front_at(const sample_row *row, sample_front within, float logit, int32_t count, uint64_t wanted) {
  const f32x16 end = all16(logit);
  const uint64_t weight = count ? 1 : (uint32_t)weights_of(row, end)[0];
  for (int32_t i = 0; i < row->cols; i += LANES) {
    const f32x16 logits = logits_or(row->logits + i, row->cols - i, __builtin_nanf(""));
    const i32x16 tokens = tokens_at(row, i);
    const i32x16 equal = (logits == end) & in_front(logits, tokens, within);
    if (!any16(equal)) continue;
    for (int32_t n = 0; n < LANES; n++) {
      if (!equal[n]) continue;
      if (wanted <= weight) return (sample_front){logit, tokens[n]};
      wanted -= weight;
    }
  }
  return (sample_front){logit, INT32_MAX};
}

// What find_front gives, bit by bit, of up to SHORT_ROW tokens.
static sample_front short_front(const sample_row *row, sample_front within, int32_t count, uint64_t wanted) {
  u32x16 keys[SHORT_ROW / LANES];
  i32x16 weights[SHORT_ROW / LANES];
  const int32_t vectors = (row->cols + LANES - 1) / LANES;
  for (int32_t i = 0; i < vectors; i++) {
    const f32x16 logits = logits_or(row->logits + i * LANES, row->cols - i * LANES, __builtin_nanf(""));
    const i32x16 taken = in_front(logits, tokens_at(row, i * LANES), within);
    keys[i] = rank_keys(logits);
    weights[i] = (count ? (i32x16){0} + 1 : weights_of(row, logits)) & taken;
  }
  // The largest key that tokens with all that is wanted reach, and what those above it bring.
  uint32_t key = 0;
  uint64_t above = 0;
  for (int32_t bit = 31; bit >= 0; bit--) {
    const u32x16 from = (u32x16){0} + (key | 1u << bit);
    // Sums of at most 64 weights up to 2^30 by their halves.
    i32x16 low = {0}, high = {0};
    for (int32_t i = 0; i < vectors; i++) {
      const i32x16 own = weights[i] & (keys[i] >= from);
      low += own & 0xffff;
      high += own >> 16;
    }
    uint64_t sum = 0;
    for (int32_t n = 0; n < LANES; n++) sum += (uint64_t)low[n] + ((uint64_t)high[n] << 16);
    if (sum >= wanted) key |= 1u << bit;
    else above = sum;
  }
  return front_at(row, within, logit_of_key(key), count, wanted - above);
}

// The front of `within` of so many tokens, or with so much weight where `count` is 0.
static sample_front find_front(const sample_row *row, sample_front within, uint64_t *buckets,
                               int32_t count, uint64_t wanted) {
  if (row->cols <= SHORT_ROW) return short_front(row, within, count, wanted);
  uint32_t key = 0, known = 0;
  for (int32_t shift = 21; shift >= 0; shift = shift == 21 ? 10 : shift - 10) {
    const uint32_t mask = shift ? SAMPLE_BUCKETS - 1 : SAMPLE_BUCKETS / 2 - 1;
    __builtin_memset(buckets, 0, SAMPLE_LANES * SAMPLE_BUCKETS * sizeof *buckets);
    for (int32_t i = 0; i < row->cols; i += LANES) {
      const f32x16 logits = logits_or(row->logits + i, row->cols - i, __builtin_nanf(""));
      const u32x16 keys = rank_keys(logits);
      const i32x16 taken = ((keys & known) == key) & in_front(logits, tokens_at(row, i), within);
      if (!any16(taken)) continue;
      const i32x16 weights = (count ? (i32x16){0} + 1 : weights_of(row, logits)) & taken;
      uint32_t bucket[LANES];
      int32_t weight[LANES];
      *(i32x16_any *)bucket = (i32x16)(keys >> shift & mask);
      *(i32x16_any *)weight = weights;
      for (int32_t n = 0; n < LANES; n++) {
        buckets[n % SAMPLE_LANES * SAMPLE_BUCKETS + bucket[n]] += (uint32_t)weight[n];
      }
    }
    for (int32_t n = 1; n < SAMPLE_LANES; n++) {
      for (uint32_t b = 0; b <= mask; b++) buckets[b] += buckets[n * SAMPLE_BUCKETS + b];
    }
    int32_t b = (int32_t)mask;
    for (; b > 0 && buckets[b] < wanted; b--) wanted -= buckets[b];
    key |= (uint32_t)b << shift;
    known |= mask << shift;
  }
  return front_at(row, within, logit_of_key(key), count, wanted);
}

// The token of the front that is first in the race; `best` if there is none.
static int32_t race(const sample_row *row, sample_front front, float widest, position_key key,
                    int32_t best) {
  f32x16 smallest = all16(__builtin_inff());
  i32x16 winners = (i32x16){0} + best;
  for (int32_t i = 0; i < row->cols; i += LANES) {
    const f32x16 logits = logits_or(row->logits + i, row->cols - i, __builtin_nanf(""));
    const f32x16 gaps = gaps_of(row, logits);
    const i32x16 tokens = tokens_at(row, i);
    const i32x16 runs = in_front(logits, tokens, front) & (gaps <= all16(widest));
    if (!any16(runs)) continue;
    // Most are behind already with the least time that they can have.
    const f32x16 u = uniform16(tokens, key), factor = exp16(gaps);
    if (!any16(runs & (u * factor * 0.99f < smallest))) continue;
    const f32x16 times = exponential16(u) * factor;
    const i32x16 wins = runs & (times < smallest);
    smallest = select16(wins, times, smallest);
    winners = (tokens & wins) | (winners & ~wins);
  }
  float least = __builtin_inff();
  int32_t winner = best;
  for (int32_t n = 0; n < LANES; n++) {
    if (smallest[n] > least || (smallest[n] == least && winners[n] > winner)) continue;
    least = smallest[n];
    winner = winners[n];
  }
  return winner;
}

INLINE position_key key_of_draw(const int32_t *settings, const int32_t *step) {
  return key_of_position((uint32_t)settings[SETTING_SEEDLOW], (uint32_t)settings[SETTING_SEEDHIGH],
                         (uint32_t)settings[SETTING_SEQUENCE], (uint32_t)step[STEP_POSITION]);
}

INLINE int32_t token_of(const int32_t *tokens, int32_t at) { return at < 0 || !tokens ? at : tokens[at]; }

// The token drawn from so many logits: of `tokens`, which ascend and have room for LANES more behind them, or
// of all where that is NULL. `step` is the row's entry of the step buffer.
static int32_t draw_token(const float *logits, const int32_t *tokens, int32_t cols, const int32_t *settings,
                          const int32_t *step, uint64_t *scratch) {
  const int32_t top_k = settings[SETTING_TOPK], top_p = settings[SETTING_TOPP];
  const int32_t at = best_token(logits, cols), best = token_of(tokens, at);
  if (at < 0 || top_k == 1) return best;
  const float inverse = setting_float(settings, SETTING_INVERSE);
  sample_row row = {logits, tokens, cols, logits[at], inverse};
  sample_front front = {-__builtin_inff(), INT32_MAX};
  for (int32_t is_p = 0; is_p < 2; is_p++) {
    const int32_t count = is_p ? 0 : top_k;
    if (is_p ? top_p >= TOP_P_ONE : top_k <= 0 || top_k >= cols) continue;
    uint64_t wanted;
    row = narrowed(&row, front, count, top_p, scratch + SAMPLE_LANES * SAMPLE_BUCKETS, &wanted);
    front = find_front(&row, front, scratch, count, wanted);
  }
  return race(&row, front, setting_float(settings, SETTING_WIDEST), key_of_draw(settings, step), best);
}

#endif
