// A matrix of halves as int8, with bounds; see reference.ts. A task is a stripe of 16 rows.
#include "../c/kernel.h"
#include "../c/vec.h"

enum { look_weights_phases = 1 };

static work_plan look_weights_plan(const look_weights_command *c, int32_t phase, int32_t threads) {
  (void)phase;
  return split_evenly((c->rows + 15) / 16, threads);
}

static void look_weights_run(const look_weights_command *c, int32_t phase, int32_t first, int32_t last) {
  (void)phase;
  const int32_t cols = c->weights_cols, groups = (cols + 3) / 4;
  const f32x16 infinite = all16(__builtin_inff());
  for (int32_t stripe = first; stripe < last; stripe++) {
    const uint16_t *w = (const uint16_t *)c->weights_data + (size_t)stripe * cols * 16;
    uint8_t *look = c->look_data + (size_t)stripe * groups * 64;
    f32x16 peak = {0};
    i32x16 strange = {0};
    for (int32_t col = 0; col < cols; col++) {
      const f32x16 v = load_f16(w + (size_t)col * 16);
      peak = max16(abs16(v), peak);
      strange |= v - v != all16(0.0f);
    }
    const i32x16 has_numbers = (peak > all16(0.0f)) & ~strange;
    const f32x16 factor = select16(has_numbers, 127.0f / peak, all16(0.0f));
    const f32x16 scale = select16(has_numbers, peak / 127.0f, all16(0.0f));
    f32x16 lost = {0}, whole = {0};
    for (int32_t col = 0; col < groups * 4; col++) {
      f32x16 r = {0};
      if (col < cols) {
        const f32x16 v = select16(strange, all16(0.0f), load_f16(w + (size_t)col * 16));
        r = round16(v * factor);
        const f32x16 e = v - r * scale;
        lost += e * e;
        whole += v * v;
      }
      const i32x16 q = __builtin_convertvector(r, i32x16) + 128;
      for (int32_t i = 0; i < LANES; i++) look[(size_t)(col / 4 * 16 + i) * 4 + col % 4] = (uint8_t)q[i];
    }
    const f32x16 length = sqrt16(whole) * 1.01f, loss = sqrt16(lost) * 1.01f + length * 0x1p-20f;
    store16(c->look_scales + stripe * 16, select16(strange, infinite, scale));
    store16(c->bounds + stripe * BOUND_FLOATS, select16(strange, infinite, loss));
    store16(c->bounds + stripe * BOUND_FLOATS + 16, select16(strange, infinite, length));
  }
}
