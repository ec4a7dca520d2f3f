// Multiplies and adds int8 in registers as fast as the variant's instructions can: the integer peak that
// prefill is measured against. No codes are unpacked and nothing is read beyond the first cache.
//
// On AMX the tile instruction is the peak. Elsewhere STEP is the instruction, or the shortest pair of
// them, that multiplies STEP_PRODUCTS pairs and adds them to a sum (what it adds up means nothing). ROWS
// registers of weights times COLS of activations give as many sums in flight as there are registers for:
// more than the instruction takes cycles.
#include "../c/kernel.h"
#include "../c/vec.h"

#if defined(__AVX512VNNI__)
#include <immintrin.h>
typedef __m512i peak_reg;
#define STEP(sum, w, q) _mm512_dpbusd_epi32(sum, w, q)
#define STEP_PRODUCTS 64
#define ROWS 4
#elif defined(__AVXVNNI__)
#include <immintrin.h>
typedef __m256i peak_reg;
#define STEP(sum, w, q) _mm256_dpbusd_avx_epi32(sum, w, q)
#define STEP_PRODUCTS 32
#define ROWS 2
#elif defined(__AVX2__)
#include <immintrin.h>
typedef __m256i peak_reg;
#define STEP(sum, w, q) _mm256_add_epi16(sum, _mm256_maddubs_epi16(w, q))
#define STEP_PRODUCTS 32
#define ROWS 2
#elif defined(__ARM_FEATURE_DOTPROD)
#include <arm_neon.h>
typedef int8x16_t peak_reg;
#define STEP(sum, w, q) vreinterpretq_s8_s32(vdotq_s32(vreinterpretq_s32_s8(sum), w, q))
#define STEP_PRODUCTS 16
#define ROWS 4
#elif defined(__aarch64__)
#include <arm_neon.h>
typedef int8x16_t peak_reg;
#define LOW(sum, w, q) vmlal_s8(vreinterpretq_s16_s8(sum), vget_low_s8(w), vget_low_s8(q))
#define STEP(sum, w, q) vreinterpretq_s8_s16(vmlal_high_s8(LOW(sum, w, q), w, q))
#define STEP_PRODUCTS 16
#define ROWS 4
#elif defined(__wasm_relaxed_simd__)
#include <wasm_simd128.h>
typedef v128_t peak_reg;
// Of two forms the one that this machine is quicker with; see ternary-matmul/wasm-relaxed-simd.c.
#define STEP(sum, w, q) add_dot(form, sum, q, w)
#define STEP_FORM has_wide_dot()
#define STEP_PRODUCTS 16
#define ROWS 2
#elif defined(__wasm_simd128__)
#include <wasm_simd128.h>
typedef v128_t peak_reg;
#define STEP(sum, w, q) wasm_i32x4_add(sum, wasm_i32x4_dot_i16x8(w, q))
#define STEP_PRODUCTS 8
#define ROWS 2
#else
// 16-bit lanes: every processor multiplies more of them than of wider ones.
typedef u16x16 peak_reg;
#define STEP(sum, w, q) ((sum) + (w) * (q))
#define STEP_PRODUCTS 16
#define ROWS 2
#endif

#define COLS 4
#define ROUNDS (PEAK_PRODUCTS / (ROWS * COLS * STEP_PRODUCTS))

enum { peak_dot_phases = 1 };

static work_plan peak_dot_plan(const peak_dot_command *c, int32_t phase, int32_t threads) {
  (void)phase;
  return split_evenly(c->rows, threads);
}

#if defined(__AMX_INT8__)

// One instruction multiplies 16 tokens of 64 columns with 16 rows; four sums hide how long it takes.
#define AMX_ROUNDS (PEAK_PRODUCTS / (4 * 16 * 64 * 16))

static void peak_dot_run(const peak_dot_command *c, int32_t phase, int32_t first, int32_t last) {
  (void)phase;
  int32_t sums[256] __attribute__((aligned(64)));
  configure_tiles();
  // A stride of 0: all rows of a tile are the one operand.
  _tile_loadd(4, c->operands, 0);
  _tile_loadd(5, c->operands, 0);
  _tile_loadd(6, c->operands, 0);
  _tile_loadd(7, c->operands, 0);
  for (int32_t task = first; task < last; task++) {
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    for (int32_t round = 0; round < AMX_ROUNDS; round++) {
      _tile_dpbsud(0, 4, 6);
      _tile_dpbsud(1, 4, 7);
      _tile_dpbsud(2, 5, 6);
      _tile_dpbsud(3, 5, 7);
    }
    _tile_stored(0, sums, 64);
    ((i32x16_any *)c->sums)[task] = *(const i32x16_any *)sums;
  }
  _tile_release();
}

#else

INLINE void peak_of_form(const peak_dot_command *c, const int32_t form, int32_t first, int32_t last) {
  (void)form;
  // Read anew in every round, or the compiler would multiply once and only add from then on.
  const volatile peak_reg *operands = (const volatile peak_reg *)c->operands;
  for (int32_t task = first; task < last; task++) {
    peak_reg sum[ROWS][COLS], w[ROWS];
    for (int32_t r = 0; r < ROWS; r++) {
      w[r] = operands[0];
      for (int32_t k = 0; k < COLS; k++) sum[r][k] = operands[0];
    }
    for (int32_t round = 0; round < ROUNDS; round++) {
      for (int32_t k = 0; k < COLS; k++) {
        const peak_reg q = operands[0];
        for (int32_t r = 0; r < ROWS; r++) sum[r][k] = STEP(sum[r][k], w[r], q);
      }
    }
    volatile peak_reg *out = (volatile peak_reg *)((char *)c->sums + (size_t)task * 64);
    for (int32_t r = 0; r < ROWS; r++) {
      for (int32_t k = 0; k < COLS; k++) *out = sum[r][k];
    }
  }
}

static void peak_dot_run(const peak_dot_command *c, int32_t phase, int32_t first, int32_t last) {
  (void)phase;
#ifdef STEP_FORM
  if (STEP_FORM) {
    peak_of_form(c, 1, first, last);
    return;
  }
#endif
  peak_of_form(c, 0, first, last);
}

#endif
