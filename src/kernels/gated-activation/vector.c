// out = activation(gate) * up; see reference.ts.
// p: gateUp, out · i: rows, cols, activation (0 relu2, 1 silu, 2 gelu)
#include "../c/kernel.h"
#include "../c/vec.h"

// Columns of one task: 16 kB of reads, enough to be worth the claim.
#define GATED_PIECE 2048

// 2 sqrt(2 / pi), and 0.044715 times it.
#define GELU_LINEAR 1.5957691216f
#define GELU_CUBIC 0.07135481627f

static work_plan gated_activation_plan(const command *c, int32_t phase, int32_t threads) {
  (void)phase;
  const int32_t pieces = (c->i[1] + GATED_PIECE - 1) / GATED_PIECE;
  return split_evenly(c->i[0] * pieces, threads);
}

static void gated_activation_run(const command *c, int32_t phase, int32_t first, int32_t last) {
  (void)phase;
  const int32_t cols = c->i[1], activation = c->i[2];
  const int32_t pieces = (cols + GATED_PIECE - 1) / GATED_PIECE;
  for (int32_t task = first; task < last; task++) {
    const int32_t row = task / pieces, start = task % pieces * GATED_PIECE;
    const int32_t end = start + GATED_PIECE < cols ? start + GATED_PIECE : cols;
    const float *gate = (const float *)c->p[0] + (size_t)row * cols * 2, *up = gate + cols;
    float *out = (float *)c->p[1] + (size_t)row * cols;
    for (int32_t col = start; col < end; col += LANES) {
      const int32_t n = end - col < LANES ? end - col : LANES;
      f32x16 g = load_first(gate + col, n);
      const f32x16 u = load_first(up + col, n);
      if (activation == 1) {
        g = g / (1.0f + exp16(-g));
      } else if (activation == 2) {
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
