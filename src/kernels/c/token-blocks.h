// Products of several tokens at a time.
#ifndef BITNET_TOKEN_BLOCKS_H
#define BITNET_TOKEN_BLOCKS_H

#include "vec.h"

// Runs PRODUCT(n, first) for all tokens, `n` of them at a time: `most`, at most eight, and then what is
// left in one block too, so that weights are read and unpacked once for it. `n` is a constant to the
// compiler.
#define EACH_TOKEN_BLOCK(most, tokens, PRODUCT)          \
  do {                                                   \
    int32_t next_ = 0;                                   \
    for (; next_ + (most) <= (tokens); next_ += (most)) { \
      PRODUCT(most, next_);                              \
    }                                                    \
    switch ((tokens) - next_) {                          \
      LAST_TOKEN_BLOCK(7, most, PRODUCT);                \
      LAST_TOKEN_BLOCK(6, most, PRODUCT);                \
      LAST_TOKEN_BLOCK(5, most, PRODUCT);                \
      LAST_TOKEN_BLOCK(4, most, PRODUCT);                \
      LAST_TOKEN_BLOCK(3, most, PRODUCT);                \
      LAST_TOKEN_BLOCK(2, most, PRODUCT);                \
      LAST_TOKEN_BLOCK(1, most, PRODUCT);                \
    }                                                    \
  } while (0)
#define LAST_TOKEN_BLOCK(n, most, PRODUCT) \
  case n:                                  \
    if ((n) < (most)) PRODUCT(n, next_);   \
    break


// Asks for what one token's product reads a little later: it reads weights once, strictly forward. Intel's
// processors with AMX ask for too little by themselves: 2B-4T's products took 5.5 of the 10 GB/s that memory
// gives a thread there. Others lose by it.
INLINE void ask_ahead_of_one_token(const uint8_t *w) {
#ifdef __AMX_INT8__
  __builtin_prefetch(w + 4096, 0, 2);
#else
  (void)w;
#endif
}

#endif
