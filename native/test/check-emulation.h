// The parts of check_emulation(): each prints what is wrong and returns how much.
#ifndef BITNET_CHECK_EMULATION_H
#define BITNET_CHECK_EMULATION_H

#include <stddef.h>
#include <stdint.h>

// Numbers that look random, the same in every run; extremes are frequent among them.
void random_bytes(void *to, size_t bytes);
// In first .. last.
int32_t random_from(int32_t first, int32_t last);

int check_vectors(void);
int check_tiles(void);

#endif
