// What a caller asks of single tokens, in place; see reference.ts. Scratch: two bits a token of each row.
#ifndef BITNET_ADJUST_H
#define BITNET_ADJUST_H

#include "../c/kernel.h"
#include "../c/vec.h"

// Where a token has its number in a list of few: bits of no number, below them its place.
#define LISTED_BITS 0xffc00000u

INLINE uint32_t bits_of(float x) {
  uint32_t bits;
  __builtin_memcpy(&bits, &x, sizeof bits);
  return bits;
}

INLINE float listed_at(int32_t place) {
  const uint32_t bits = LISTED_BITS | (uint32_t)place;
  float x;
  __builtin_memcpy(&x, &bits, sizeof x);
  return x;
}

// The place in a list that listed_at made, or -1 of another number. None of those is without being a number.
INLINE int32_t place_of(float x) {
  const uint32_t bits = bits_of(x);
  return bits >= LISTED_BITS ? (int32_t)(bits & ~LISTED_BITS) : -1;
}

// Whether a token's bit was not set yet; it is now.
INLINE int32_t is_new_token(uint32_t *bits, int32_t token) {
  const uint32_t bit = 1u << (token & 31);
  const int32_t is_new = !(bits[token >> 5] & bit);
  bits[token >> 5] |= bit;
  return is_new;
}

INLINE const float *amounts_of(const adjust_logits_command *c, int32_t row) {
  return c->amounts + (size_t)row * (PENALTY_FLOATS + c->bias_count);
}

INLINE int32_t biases_of(const adjust_logits_command *c) { return c->bias_tokens ? c->bias_count : 0; }

// The row's bias with this number, 0 for none, and its token.
INLINE float bias_at(const adjust_logits_command *c, int32_t row, int32_t i, int32_t *token) {
  *token = c->bias_tokens[(size_t)row * c->bias_count + i];
  return amounts_of(c, row)[PENALTY_FLOATS + i];
}

// The row's tokens so far where penalties change anything, and their number.
INLINE const int32_t *penalised_tokens(const adjust_logits_command *c, int32_t row, int32_t *count) {
  const float *own = amounts_of(c, row);
  *count = 0;
  if (!c->history || (own[0] == 1.0f && own[1] == 0.0f && own[2] == 0.0f)) return NULL;
  const int32_t *step = c->step + (size_t)c->index[row] * STEP_WORDS;
  *count = step[STEP_POSITION] + 1;
  return c->history + (size_t)step[STEP_SLOT] * c->capacity;
}

// Biases and penalties on a row's x: where `places` is given, on the list that it says each token's place in.
INLINE void change_row(const adjust_logits_command *c, int32_t row, float *x, const float *places) {
#define CHANGED(token) x[places ? place_of(places[token]) : (token)]
  for (int32_t i = 0; i < biases_of(c); i++) {
    int32_t token;
    const float bias = bias_at(c, row, i, &token);
    if (bias != 0.0f) CHANGED(token) += bias;
  }
  const float *own = amounts_of(c, row);
  const float repetition = own[0], presence = own[1], frequency = own[2], answer = own[3];
  int32_t count;
  const int32_t *history = penalised_tokens(c, row, &count);
  if (!count) return;
  const size_t words = ((size_t)c->cols + 31) / 32;
  uint32_t *seen = (uint32_t *)c->scratch + row * 2 * words, *answered = seen + words;
  __builtin_memset(seen, 0, 2 * words * sizeof *seen);
  for (int32_t position = 0; position < count; position++) {
    const int32_t token = history[position];
    float *own_x = &CHANGED(token);
    if (is_new_token(seen, token)) *own_x = *own_x > 0.0f ? *own_x / repetition : *own_x * repetition;
    if ((float)position < answer) continue;
    if (is_new_token(answered, token)) *own_x = *own_x - presence;
    *own_x = *own_x - frequency;
  }
#undef CHANGED
}

// Those of sixteen tokens, the first of which is a multiple of 16, that may be drawn: a bit each.
INLINE uint32_t allowed_bits(const adjust_logits_command *c, int32_t row, int32_t first) {
  const uint32_t *mask = (const uint32_t *)c->mask + (size_t)row * (((size_t)c->cols + 31) / 32);
  return mask[first >> 5] >> (first & 31) & 0xffff;
}

INLINE void mask_row(const adjust_logits_command *c, int32_t row, float *x) {
  for (int32_t i = 0; i < c->cols; i += 16) {
    const uint32_t allowed = allowed_bits(c, row, i);
    if (allowed == 0xffff) continue;
    // Every one is written: which are allowed is nothing that could be foretold.
    const int32_t count = c->cols - i < 16 ? c->cols - i : 16;
    for (int32_t n = 0; n < count; n++) x[i + n] = allowed >> n & 1 ? x[i + n] : -__builtin_inff();
  }
}

#endif
