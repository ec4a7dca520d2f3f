// Half rotation of queries and keys, and the write to the cache; see reference.ts.
// p: step, qkv, rotations, keys, values · i: rows, nHeads, nKvHeads, headDim, capacity, cache type
// (0: f16, 1: f32)
#include "../../../native/kernel.h"
#include "../../../native/vec.h"

static work_plan rope_cache_plan(const command *c, int32_t phase, int32_t threads) {
  (void)phase;
  return c->i[0] < 4 ? one_piece(c->i[0]) : split_evenly(c->i[0], threads);
}

INLINE void rotate_half(float *v, const float *rotation, int32_t half) {
  for (int32_t i = 0; i < half; i++) {
    const float a = v[i], b = v[i + half], cosine = rotation[i], sine = rotation[half + i];
    v[i] = a * cosine - b * sine;
    v[i + half] = b * cosine + a * sine;
  }
}

INLINE void store_cached(int32_t is_f32, void *elements, size_t at, float x) {
  if (is_f32) ((float *)elements)[at] = x;
  else ((uint16_t *)elements)[at] = to_f16(x);
}

static void rope_cache_run(const command *c, int32_t phase, int32_t first, int32_t last) {
  (void)phase;
  const int32_t n_heads = c->i[1], n_kv = c->i[2], head_dim = c->i[3], half = head_dim / 2;
  const int32_t is_f32 = c->i[5];
  const size_t capacity = (size_t)c->i[4], value_dim = ((size_t)head_dim + 15) & ~(size_t)15;
  for (int32_t row = first; row < last; row++) {
    const int32_t *step = (const int32_t *)c->p[0] + row * 4;
    const size_t slot = (size_t)step[1], position = (size_t)step[2];
    const float *rotation = (const float *)c->p[2] + position * head_dim;
    float *v = (float *)c->p[1] + (size_t)row * (n_heads + 2 * n_kv) * head_dim;
    for (int32_t head = 0; head < n_heads; head++, v += head_dim) rotate_half(v, rotation, half);
    for (int32_t head = 0; head < n_kv; head++, v += head_dim) {
      rotate_half(v, rotation, half);
      const size_t key = (slot * n_kv + head) * capacity * head_dim +
                         (position >> 4) * head_dim * 16 + (position & 15);
      for (int32_t d = 0; d < head_dim; d++) {
        store_cached(is_f32, c->p[3], key + (size_t)d * 16, v[d]);
      }
    }
    for (int32_t head = 0; head < n_kv; head++, v += head_dim) {
      const size_t value = ((slot * n_kv + head) * capacity + position) * value_dim;
      for (int32_t d = 0; d < head_dim; d++) store_cached(is_f32, c->p[4], value + d, v[d]);
    }
  }
}
