// Attention's float products in registers of four lanes: a quarter of 16 positions or dimensions at a
// time, so that the sums of four queries stay in registers. Each lane adds in the same order.
#ifndef BITNET_ATTENTION_WASM_QUARTERS_H
#define BITNET_ATTENTION_WASM_QUARTERS_H

#include "../c/wasm-simd.h"
#include "cache.h"

// One quarter: sum[g] += element i * x[g][i] for i below n, elements `stride` bytes apart. `seen` gathers
// magnitudes of halves, which are taken for finite: the bits as a float32 times 2^112 are then exact.
INLINE v128_t add_quarter(const int32_t group, const int32_t half, const uint8_t *at, size_t stride,
                          int32_t n, const float *const *x, v128_t *sum, v128_t seen) {
  v128_t kept = wasm_i32x4_splat((int32_t)0x8fffe000), scale = wasm_f32x4_splat(0x1p112f);
  v128_t magnitude = wasm_i32x4_splat(0x7fff);
  AS_VALUE(kept);
  AS_VALUE(scale);
  AS_VALUE(magnitude);
  ROLLED for (int32_t i = 0; i < n; i++, at += stride) {
    v128_t element;
    if (half) {
      const v128_t bits = wasm_i32x4_load16x4(at);
      seen = wasm_i32x4_max(seen, wasm_v128_and(bits, magnitude));
      element = wasm_f32x4_mul(wasm_v128_and(wasm_i32x4_shl(bits, 13), kept), scale);
    } else {
      element = wasm_v128_load(at);
    }
    UNROLL for (int32_t g = 0; g < group; g++) {
      const v128_t weight = wasm_v128_load32_splat(x[g] + i);
      sum[g] = half ? add_exact_4(sum[g], element, weight)
                    : wasm_f32x4_add(sum[g], wasm_f32x4_mul(element, weight));
    }
  }
  return seen;
}

// sum[g] += sixteen elements, `stride` bytes apart, times x[g][i], for i below n. Returns 0, and leaves
// the sums alone, if a half is no finite number.
INLINE int32_t quarter_products(const int32_t group, const int32_t half, const uint8_t *at,
                                size_t stride, int32_t n, const float *const *x, f32x16 *sum) {
  union {
    v128_t quarter[4];
    f32x16 whole;
  } total[4];
  v128_t seen = wasm_i32x4_splat(0);
  for (int32_t g = 0; g < group; g++) total[g].whole = sum[g];
  for (int32_t s = 0; s < 4; s++) {
    v128_t part[4];
    for (int32_t g = 0; g < group; g++) part[g] = total[g].quarter[s];
    seen = add_quarter(group, half, at + s * (half ? 8 : 16), stride, n, x, part, seen);
    for (int32_t g = 0; g < group; g++) total[g].quarter[s] = part[g];
  }
  if (wasm_v128_any_true(wasm_i32x4_ge(seen, wasm_i32x4_splat(0x7c00)))) return 0;
  for (int32_t g = 0; g < group; g++) sum[g] = total[g].whole;
  return 1;
}

#endif
