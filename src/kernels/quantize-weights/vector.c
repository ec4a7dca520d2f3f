// Latent weights as ternary codes in tiles, with one scale; see reference.ts. Sums of each stripe, then the
// scale, then the codes.
#include "../c/kernel.h"
#include "../rms-norm/rms-norm.h"

enum { quantize_weights_phases = 3 };

// What the scratch memory has: sums of magnitudes and of weights of each stripe, behind the factors.
typedef struct {
  float inverse, mean;
  double sums[];
} weight_sums;

static work_plan quantize_weights_plan(const quantize_weights_command *c, int32_t phase, int32_t threads) {
  const int32_t stripes = (c->rows + 15) / 16;
  return phase == 1 ? one_piece(1) : split_evenly(stripes, threads);
}

static void sum_weights(const quantize_weights_command *c, int32_t stripe, double *sums) {
  const int32_t cols = c->out_cols, end = stripe * 16 + 16 < c->rows ? stripe * 16 + 16 : c->rows;
  f64x16 magnitudes = {0}, weights = {0};
  for (int32_t row = stripe * 16; row < end; row++) {
    const float *x = c->latents + (size_t)row * cols;
    for (int32_t col = 0; col < cols; col += LANES) {
      const f32x16 w = load_first(x + col, cols - col);
      magnitudes = magnitudes + __builtin_convertvector(abs16(w), f64x16);
      weights = weights + __builtin_convertvector(w, f64x16);
    }
  }
  sums[0] = sum_lanes_f64(magnitudes);
  sums[1] = sum_lanes_f64(weights);
}

static void find_scale(const quantize_weights_command *c, weight_sums *all) {
  const int32_t stripes = (c->rows + 15) / 16;
  double magnitudes = 0, weights = 0;
  for (int32_t i = 0; i < stripes; i++) {
    magnitudes = magnitudes + all->sums[2 * i];
    weights = weights + all->sums[2 * i + 1];
  }
  const double count = (double)c->rows * c->out_cols;
  float scale = (float)(magnitudes / count);
  if (c->mode == WEIGHTS_ABSMEAN && scale < 1e-5f) scale = 1e-5f;
  all->inverse = 1.0f / scale;
  all->mean = (float)(weights / count);
  for (int32_t row = 0; row < stripes * 16; row++) c->out_scales[row] = scale;
}

// Sixteen codes + 1: column 4p + j goes to bits 2p of byte j.
INLINE uint32_t code_lane(f32x16 w, const weight_sums *all, const int32_t mode) {
  const f32x16 x = mode == WEIGHTS_ABSMEAN ? w * all->inverse : w - all->mean;
  const float edge = mode == WEIGHTS_ABSMEAN ? 0.5f : 0.0f;
  const i32x16 codes = (i32x16)(x < -edge) - (i32x16)(x > edge);
  union {
    i8x16 bytes;
    uint32_t words[4];
  } v = {__builtin_convertvector(codes + 1, i8x16)};
  return v.words[0] | v.words[1] << 2 | v.words[2] << 4 | v.words[3] << 6;
}

INLINE void pack_weights(const quantize_weights_command *c, const int32_t mode, int32_t stripe,
                         const weight_sums *all) {
  const int32_t cols = c->out_cols, tiles = (cols + 15) / 16;
  uint32_t *out = (uint32_t *)(c->out_data + (size_t)stripe * tiles * 64);
  for (int32_t lane = 0; lane < 16; lane++) {
    const int32_t row = stripe * 16 + lane;
    const float *x = c->latents + (size_t)row * cols;
    for (int32_t tile = 0; tile < tiles; tile++) {
      const int32_t n = cols - tile * 16 < LANES ? cols - tile * 16 : LANES;
      uint32_t codes = row < c->rows ? code_lane(load_first(x + tile * 16, n), all, mode) : 0x55555555u;
      // Columns past the end are of weight 0, whatever the mean is.
      for (int32_t col = n; col < LANES && row < c->rows; col++) {
        const uint32_t shift = (uint32_t)(col % 4 * 8 + col / 4 * 2);
        codes = (codes & ~(3u << shift)) | 1u << shift;
      }
      out[tile * 16 + lane] = codes;
    }
  }
}

static void quantize_weights_run(const quantize_weights_command *c, int32_t phase, int32_t first, int32_t last) {
  weight_sums *all = c->scratch;
  for (int32_t task = first; task < last; task++) {
    if (phase == 0) {
      sum_weights(c, task, all->sums + 2 * task);
    } else if (phase == 1) {
      find_scale(c, all);
    } else if (c->mode == WEIGHTS_ABSMEAN) {
      pack_weights(c, WEIGHTS_ABSMEAN, task, all);
    } else {
      pack_weights(c, WEIGHTS_SIGN, task, all);
    }
  }
}
