// The ternary product of several tokens in WebAssembly: four tokens against half a stripe, since eight sums,
// two codes, what these come from and an activation are what sixteen registers hold.
//
// Activations are spread beforehand, each word to a whole register: engines give a load that repeats a
// word another instruction for its address, which would be one in eight. Spread words of a
// chunk of tiles stay in the processor's first cache for all stripes of a group.
//
// Before it comes TILE_WORDS, how many registers a tile's spread activations of one token take.
#ifndef BITNET_WASM_TOKEN_BLOCKS_H
#define BITNET_WASM_TOKEN_BLOCKS_H

#include "../c/wasm-simd.h"
#include "ternary-matmul.h"

// Tokens that share one pass over the weights.
#define BLOCK_TOKENS 4
// Spread activations of a chunk take 4 or 8 kB; sums of a group another 4.
#define CHUNK_TILES 15
#define GROUP_STRIPES 16

typedef union {
  v128_t quarter[4];
  i32x16 whole;
} stripe_sums;

// The variant's own part. `form` is a constant to the compiler and means something to the variant alone.
//
// Spreads the 16 activations of a tile to `to`, `to + BLOCK_TOKENS`, ...
INLINE void spread_tile(const int8_t *q, v128_t *to);
// Adds what two quarters of up to CHUNK_TILES tiles give to the first two quarters of sums[token].
INLINE void add_half(const int32_t form, const uint8_t *w, const v128_t *words, int32_t tiles,
                     v128_t (*sums)[4]);
// One token's product, for what is left over.
INLINE void stripes_of_one_token(const ternary_matmul_command *c, const int32_t form, int32_t token, int32_t stripe,
                                 int32_t end);

// One block and one group; `first` is the group's first stripe.
INLINE void block_of_tokens(const ternary_matmul_command *c, const int32_t form, int32_t token, int32_t first,
                            int32_t count) {
  const int32_t tiles = (c->weights_cols + 15) / 16;
  const size_t stripe_bytes = (size_t)tiles * 64;
  v128_t words[CHUNK_TILES * TILE_WORDS * BLOCK_TOKENS];
  stripe_sums sums[GROUP_STRIPES * BLOCK_TOKENS];
  for (int32_t i = 0; i < count * BLOCK_TOKENS; i++) sums[i].whole = (i32x16){0};
  for (int32_t start = 0; start < tiles; start += CHUNK_TILES) {
    const int32_t n = tiles - start < CHUNK_TILES ? tiles - start : CHUNK_TILES;
    for (int32_t t = 0; t < BLOCK_TOKENS; t++) {
      const int8_t *q = c->x_q + ((size_t)(token + t) * tiles + start) * 16;
      v128_t *to = words + t;
      for (int32_t i = 0; i < n; i++, to += TILE_WORDS * BLOCK_TOKENS) spread_tile(q + i * 16, to);
    }
    const uint8_t *w = c->weights_data + first * stripe_bytes + (size_t)start * 64;
    for (int32_t s = 0; s < count; s++, w += stripe_bytes) {
      add_half(form, w, words, n, &sums[s * BLOCK_TOKENS].quarter);
      add_half(form, w + 32, words, n, (v128_t(*)[4])(sums[s * BLOCK_TOKENS].quarter + 2));
    }
  }
  for (int32_t i = 0; i < count * BLOCK_TOKENS; i++) {
    store_stripe(c, token + i % BLOCK_TOKENS, first + i / BLOCK_TOKENS, sums[i].whole);
  }
}

INLINE void stripes_of_tokens(const ternary_matmul_command *c, const int32_t form, int32_t stripe, int32_t end) {
  const int32_t tokens = c->rows, group = tokens == 1 ? end - stripe : GROUP_STRIPES;
  for (; stripe < end; stripe += group) {
    const int32_t count = end - stripe < group ? end - stripe : group;
    int32_t token = 0;
    for (; token + BLOCK_TOKENS <= tokens; token += BLOCK_TOKENS) {
      block_of_tokens(c, form, token, stripe, count);
    }
    for (; token < tokens; token++) stripes_of_one_token(c, form, token, stripe, stripe + count);
  }
}

#endif
