// A pool of threads that run a list of commands together.
//
// The thread that calls pool_run is one of them. Between lists the others spin briefly and then sleep.
#ifndef BITNET_POOL_H
#define BITNET_POOL_H

#include "../src/kernels/c/kernel.h"

typedef struct pool pool;

pool *pool_create(int32_t threads);
int32_t pool_threads(const pool *p);
// Runs `count` commands with one variant's kernels. One call at a time.
void pool_run(pool *p, const kernel_table *table, const command *commands, int32_t count);
// The variant whose kernels ran the last list; NULL before the first.
const char *pool_ran_isa(const pool *p);
void pool_destroy(pool *p);

#endif
