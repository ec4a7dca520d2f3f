// out = activation(gate) * up; see reference.ts.
// p: gateUp, out · i: rows, cols, activation (0 relu2, 1 silu)
#include "../../../native/kernel.h"
#include "../../../native/vec.h"

// Columns of one task: 16 kB of reads, enough to be worth the claim.
#define GATED_PIECE 2048

static work_plan gated_activation_plan(const command *c, int32_t phase, int32_t threads) {
  (void)phase;
  const int32_t pieces = (c->i[1] + GATED_PIECE - 1) / GATED_PIECE;
  return split_evenly(c->i[0] * pieces, threads);
}

static void gated_activation_run(const command *c, int32_t phase, int32_t first, int32_t last) {
  (void)phase;
  const int32_t cols = c->i[1], silu = c->i[2];
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
      if (silu) {
        g = g / (1.0f + exp16(-g));
      } else {
        g = max16(g, all16(0.0f));
        g = g * g;
      }
      store_first(out + col, g * u, n);
    }
  }
}
