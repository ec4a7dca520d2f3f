// A step of AdamW; see reference.ts.
#include "../c/kernel.h"
#include "../c/vec.h"

enum { adamw_phases = 1 };

static work_plan adamw_plan(const adamw_command *c, int32_t phase, int32_t threads) {
  (void)phase;
  return split_evenly(c->rows, threads);
}

// What gradients are multiplied by; 0 where they are not finite.
INLINE float clip_factor(float square_sum, float max_norm, float scale) {
  if (!(square_sum < __builtin_inff())) return 0.0f;
  if (max_norm == 0.0f) return scale;
  const float norm = __builtin_sqrtf(square_sum) * scale;
  const float factor = max_norm / (norm + 1e-6f);
  return (factor < 1.0f ? factor : 1.0f) * scale;
}

static void adamw_run(const adamw_command *c, int32_t phase, int32_t first, int32_t last) {
  (void)phase;
  const float *number = c->numbers;
  const float rate = number[0], keep = number[1], beta1 = number[2], rest1 = number[3], beta2 = number[4];
  const float rest2 = number[5], root_bias = number[6], eps = number[7];
  const float factor = clip_factor(c->square_sum[0], number[8], number[9]);
  if (factor == 0.0f) return;
  for (int32_t row = first; row < last; row++) {
    const size_t at = (size_t)row * c->cols;
    for (int32_t col = 0; col < c->cols; col += LANES) {
      const int32_t n = c->cols - col;
      const f32x16 g = load_first(c->gradients + at + col, n) * factor;
      float *mean = c->means + at + col, *square = c->squares + at + col, *p = c->parameters + at + col;
      const f32x16 m = load_first(mean, n) * beta1 + g * rest1;
      const f32x16 v = load_first(square, n) * beta2 + g * g * rest2;
      store_first(mean, m, n);
      store_first(square, v, n);
      store_first(p, load_first(p, n) * keep - rate * (m / (sqrt16(v) * root_bias + eps)), n);
    }
  }
}
