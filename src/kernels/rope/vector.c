// Half rotation of queries and keys of whole sequences, either way; see reference.ts.
#include "../c/kernel.h"
#include "../rope-cache/rotate.h"

enum { rope_phases = 1 };

static work_plan rope_plan(const rope_command *c, int32_t phase, int32_t threads) {
  (void)phase;
  return split_evenly(c->rows, threads);
}

static void rope_run(const rope_command *c, int32_t phase, int32_t first, int32_t last) {
  (void)phase;
  const int32_t head_dim = c->head_dim, heads = c->n_heads + c->n_kv_heads;
  for (int32_t row = first; row < last; row++) {
    const float *rotation = c->rotations + (size_t)(row % c->length) * head_dim;
    float *v = c->qkv + (size_t)row * (heads + c->n_kv_heads) * head_dim;
    for (int32_t head = 0; head < heads; head++) {
      rotate_half(v + head * head_dim, rotation, head_dim / 2, c->direction);
    }
  }
}
