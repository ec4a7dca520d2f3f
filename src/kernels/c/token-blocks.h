// Products of several tokens at a time.
#ifndef BITNET_TOKEN_BLOCKS_H
#define BITNET_TOKEN_BLOCKS_H

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

#endif
