// Which variants there are in this binary and which of them this processor can run.
#ifndef BITNET_CPU_H
#define BITNET_CPU_H

#include "../src/kernels/c/kernel.h"

typedef struct {
  const kernel_table *table;
  // What the processor or the operating system lacks; NULL if the variant runs here.
  const char *missing;
} variant;

// Fastest first. `count` receives how many.
const variant *cpu_variants(int32_t *count);

#endif
