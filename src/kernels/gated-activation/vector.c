// out = activation(gate) * up; see reference.ts.
#include "../c/kernel.h"
#include "../c/vec.h"

// Columns of one task: 16 kB of reads, enough to be worth the claim.
#define GATED_PIECE 2048

// 2 sqrt(2 / pi), and 0.044715 times it.
#define GELU_LINEAR 1.5957691216f
#define GELU_CUBIC 0.07135481627f

enum { gated_activation_phases = 1 };

static work_plan gated_activation_plan(const gated_activation_command *c, int32_t phase, int32_t threads) {
  (void)phase;
  const int32_t pieces = (c->cols + GATED_PIECE - 1) / GATED_PIECE;
  return split_evenly(c->rows * pieces, threads);
}

static void gated_activation_run(const gated_activation_command *c, int32_t phase, int32_t first, int32_t last) {
  (void)phase;
  const int32_t cols = c->cols, activation = c->activation;
  const int32_t pieces = (cols + GATED_PIECE - 1) / GATED_PIECE;
  for (int32_t task = first; task < last; task++) {
    const int32_t row = task / pieces, start = task % pieces * GATED_PIECE;
    const int32_t end = start + GATED_PIECE < cols ? start + GATED_PIECE : cols;
    const float *gate = c->gate_up + (size_t)row * cols * 2, *up = gate + cols;
    float *out = c->out + (size_t)row * cols;
    for (int32_t col = start; col < end; col += LANES) {
      const int32_t n = end - col < LANES ? end - col : LANES;
      f32x16 g = load_first(gate + col, n);
      const f32x16 u = load_first(up + col, n);
      if (activation == ACTIVATION_SILU) {
        g = g / (1.0f + exp16(-g));
      } else if (activation == ACTIVATION_GELU) {
        const f32x16 z = g * (GELU_LINEAR + GELU_CUBIC * (g * g));
        g = g / (1.0f + exp16(-z));
      } else {
        g = max16(g, all16(0.0f));
        g = g * g;
      }
      store_first(out + col, g * u, n);
    }
  }
}
