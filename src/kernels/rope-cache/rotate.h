// The rotation of one head; see reference.ts.
#ifndef BITNET_ROTATE_H
#define BITNET_ROTATE_H

#include "../c/vec.h"

// direction is 1, or -1 to rotate back.
INLINE void rotate_half(float *v, const float *rotation, int32_t half, float direction) {
  for (int32_t i = 0; i < half; i += LANES) {
    const int32_t n = half - i;
    const f32x16 a = load_first(v + i, n), b = load_first(v + half + i, n);
    const f32x16 cosine = load_first(rotation + i, n);
    const f32x16 sine = load_first(rotation + half + i, n) * direction;
    store_first(v + i, a * cosine - b * sine, n);
    store_first(v + half + i, b * cosine + a * sine, n);
  }
}

#endif
