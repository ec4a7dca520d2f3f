// Counts of ternary codes and of those that changed; see reference.ts.
#include "../c/kernel.h"
#include "../c/vec.h"

enum { count_codes_phases = 2 };

static int32_t counted_pieces(const count_codes_command *c) { return (c->words + COUNTED_WORDS - 1) / COUNTED_WORDS; }

static work_plan count_codes_plan(const count_codes_command *c, int32_t phase, int32_t threads) {
  return phase == 0 ? split_evenly(counted_pieces(c), threads) : one_piece(1);
}

// Bits in each word, of those at even places.
INLINE i32x16 even_bits(u32x16 x) {
  x = (x & 0x11111111) + (x >> 2 & 0x11111111);
  x = (x + (x >> 4)) & 0x0f0f0f0f;
  return (i32x16)(x * 0x01010101 >> 24);
}

static void count_codes_run(const count_codes_command *c, int32_t phase, int32_t first, int32_t last) {
  int32_t *sums = c->scratch;
  if (phase == 1) {
    for (int32_t i = 0; i < 3; i++) {
      int32_t total = 0;
      for (int32_t piece = 0; piece < counted_pieces(c); piece++) total += sums[piece * 3 + i];
      c->out[i] = total;
    }
    return;
  }
  for (int32_t piece = first; piece < last; piece++) {
    const int32_t from = piece * COUNTED_WORDS;
    const int32_t end = from + COUNTED_WORDS < c->words ? from + COUNTED_WORDS : c->words;
    i32x16 minus = {0}, plus = {0}, changed = {0};
    // A tile is sixteen words, and matrices are whole tiles.
    for (int32_t at = from; at < end; at += 16) {
      const u32x16 now = (u32x16) * (const i32x16_any *)(c->codes + at);
      const u32x16 differs = now ^ (u32x16) * (const i32x16_any *)(c->before + at);
      // A code is 0, 1 or 2: none has both bits.
      minus += even_bits(~(now | now >> 1));
      plus += even_bits(now >> 1);
      changed += even_bits(differs | differs >> 1);
      *(i32x16_any *)(c->before + at) = (i32x16)now;
    }
    int32_t *own = sums + piece * 3;
    own[0] = own[1] = own[2] = 0;
    for (int32_t lane = 0; lane < LANES; lane++) {
      own[0] += minus[lane];
      own[1] += plus[lane];
      own[2] += changed[lane];
    }
  }
}
