// The gradient of out = a(gate) * up; see reference.ts.
#include "../c/kernel.h"
#include "../c/vec.h"

// Three times the cubic part of gelu.
#define GELU_SLOPE (3.0f * GELU_CUBIC)

enum { gated_activation_backward_phases = 1 };

static work_plan gated_activation_backward_plan(const gated_activation_backward_command *c, int32_t phase,
                                                int32_t threads) {
  (void)phase;
  return split_evenly(c->rows, threads);
}

static void gated_activation_backward_run(const gated_activation_backward_command *c, int32_t phase, int32_t first,
                                          int32_t last) {
  (void)phase;
  const int32_t cols = c->cols, is_gelu = c->activation == ACTIVATION_GELU;
  for (int32_t row = first; row < last; row++) {
    const float *gate = c->gate_up + (size_t)row * cols * 2, *up = gate + cols;
    const float *d_out = c->d_out + (size_t)row * cols;
    float *d_gate = c->d_gate_up + (size_t)row * cols * 2, *d_up = d_gate + cols;
    for (int32_t col = 0; col < cols; col += LANES) {
      const int32_t n = cols - col;
      const f32x16 g = load_first(gate + col, n), u = load_first(up + col, n), d = load_first(d_out + col, n);
      f32x16 value, slope;
      if (c->activation == ACTIVATION_RELU2) {
        const f32x16 positive = max16(g, all16(0.0f));
        value = positive * positive;
        slope = 2.0f * positive;
      } else {
        const f32x16 square = g * g;
        const f32x16 z = is_gelu ? g * (GELU_LINEAR + GELU_CUBIC * square) : g;
        const f32x16 dz = is_gelu ? GELU_LINEAR + GELU_SLOPE * square : all16(1.0f);
        const f32x16 s = 1.0f / (1.0f + exp16(-z));
        value = g * s;
        slope = s * (1.0f + g * (1.0f - s) * dz);
      }
      store_first(d_gate + col, d * u * slope, n);
      store_first(d_up + col, d * value, n);
    }
  }
}
