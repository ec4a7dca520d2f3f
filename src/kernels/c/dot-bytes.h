// The widest register in which a variant multiplies bytes: what skips rows or columns of ternary matrices is
// written once with it.
#ifndef BITNET_DOT_BYTES_H
#define BITNET_DOT_BYTES_H

#include "vec.h"
#if defined(__AVX2__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#elif defined(__wasm_simd128__)
#include <wasm_simd128.h>
#endif

#if defined(__AVX512VNNI__)
#define DOT_BYTES 64
#elif defined(__AVX2__)
#define DOT_BYTES 32
#else
#define DOT_BYTES 16
#endif
#define DOT_LANES (DOT_BYTES / 4)

typedef uint32_t dot_codes __attribute__((vector_size(DOT_BYTES)));
typedef int32_t dot_sums __attribute__((vector_size(DOT_BYTES)));
typedef uint32_t dot_codes_any __attribute__((vector_size(DOT_BYTES), aligned(1), may_alias));
typedef int32_t dot_sums_any __attribute__((vector_size(DOT_BYTES), aligned(4), may_alias));

// Asks for a line that is read later, into the second cache: the few requests of the first one are what scattered
// lines would wait for. WebAssembly has no such instruction, but nobody waits for a byte that is not used.
INLINE void ask_for(const uint8_t *p) {
#ifdef __wasm__
  (void)*(const volatile uint8_t *)p;
#else
  __builtin_prefetch(p, 0, 2);
#endif
}

INLINE dot_codes load_codes(const void *p) { return *(const dot_codes_any *)p; }
INLINE void store_codes(void *p, dot_codes codes) { *(dot_codes_any *)p = codes; }

// Codes by signed bytes, added up on their way to int32: by an instruction for four products at once, or in
// 16 bits, where each dot adds at most 2 * 2 * 128 = 512 to a lane.
#if defined(__AVX512VNNI__) || defined(__AVXVNNI__) || defined(__ARM_FEATURE_DOTPROD)
#define HAS_WIDE_DOTS 1
typedef dot_sums dot_part;
#define DOTS_IN_PART (1 << 20)
// Sums that go on beside each other, so that none waits for its last product.
#define DOT_CHAINS 2

INLINE dot_part add_dots(dot_part sum, dot_codes codes, dot_codes q) {
#if defined(__AVX512VNNI__)
  return (dot_part)_mm512_dpbusd_epi32((__m512i)sum, (__m512i)codes, (__m512i)q);
#elif defined(__AVXVNNI__)
  return (dot_part)_mm256_dpbusd_avx_epi32((__m256i)sum, (__m256i)codes, (__m256i)q);
#else
  return (dot_part)vdotq_s32((int32x4_t)sum, (int8x16_t)codes, (int8x16_t)q);
#endif
}

INLINE dot_sums add_part(dot_sums sum, dot_part part) { return sum + part; }
#else
typedef int16_t dot_part __attribute__((vector_size(DOT_BYTES)));
#define DOTS_IN_PART 63
#define DOT_CHAINS 1

#if !defined(__AVX2__) && !defined(__wasm_relaxed_simd__)
// The products of eight codes and bytes each.
INLINE dot_part low_products(dot_codes codes, dot_codes q) {
#if defined(__aarch64__)
  return (dot_part)vmull_s8(vget_low_s8((int8x16_t)codes), vget_low_s8((int8x16_t)q));
#elif defined(__wasm_simd128__)
  return (dot_part)wasm_i16x8_extmul_low_i8x16((v128_t)codes, (v128_t)q);
#else
  typedef int8_t i8x8 __attribute__((vector_size(8)));
  const i8x16 a = (i8x16)codes, b = (i8x16)q;
  const i8x8 low_a = __builtin_shufflevector(a, a, 0, 1, 2, 3, 4, 5, 6, 7);
  const i8x8 low_b = __builtin_shufflevector(b, b, 0, 1, 2, 3, 4, 5, 6, 7);
  return __builtin_convertvector(low_a, dot_part) * __builtin_convertvector(low_b, dot_part);
#endif
}

INLINE dot_part high_products(dot_codes codes, dot_codes q) {
#if defined(__aarch64__)
  return (dot_part)vmull_high_s8((int8x16_t)codes, (int8x16_t)q);
#elif defined(__wasm_simd128__)
  return (dot_part)wasm_i16x8_extmul_high_i8x16((v128_t)codes, (v128_t)q);
#else
  const dot_codes a = __builtin_shufflevector(codes, codes, 2, 3, 2, 3);
  return low_products(a, __builtin_shufflevector(q, q, 2, 3, 2, 3));
#endif
}
#endif

// Which lane a product goes to is left to the variant: the sum of all lanes counts.
INLINE dot_part add_dots(dot_part sum, dot_codes codes, dot_codes q) {
#if defined(__AVX2__)
  return sum + (dot_part)_mm256_maddubs_epi16((__m256i)codes, (__m256i)q);
#elif defined(__wasm_relaxed_simd__)
  return sum + (dot_part)wasm_i16x8_relaxed_dot_i8x16_i7x16((v128_t)q, (v128_t)codes);
#else
  return sum + low_products(codes, q) + high_products(codes, q);
#endif
}

INLINE dot_sums add_part(dot_sums sum, dot_part part) {
#if defined(__AVX2__)
  return sum + (dot_sums)_mm256_madd_epi16((__m256i)part, _mm256_set1_epi16(1));
#elif defined(__aarch64__)
  return (dot_sums)vpadalq_s16((int32x4_t)sum, (int16x8_t)part);
#elif defined(__wasm_simd128__)
  return sum + (dot_sums)wasm_i32x4_extadd_pairwise_i16x8((v128_t)part);
#else
  for (int32_t i = 0; i < DOT_LANES; i++) sum[i] += part[2 * i] + part[2 * i + 1];
  return sum;
#endif
}
#endif

// The bytes (or pairs of bytes) of a and b in turn, of the lower and the upper half of each 16 bytes.
INLINE void zip_bytes(dot_codes a, dot_codes b, dot_codes *low, dot_codes *high) {
#if DOT_BYTES == 64
  *low = (dot_codes)_mm512_unpacklo_epi8((__m512i)a, (__m512i)b);
  *high = (dot_codes)_mm512_unpackhi_epi8((__m512i)a, (__m512i)b);
#elif DOT_BYTES == 32
  *low = (dot_codes)_mm256_unpacklo_epi8((__m256i)a, (__m256i)b);
  *high = (dot_codes)_mm256_unpackhi_epi8((__m256i)a, (__m256i)b);
#else
  const u8x16 x = (u8x16)a, y = (u8x16)b;
  *low = (dot_codes)__builtin_shufflevector(x, y, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
  *high = (dot_codes)__builtin_shufflevector(x, y, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
#endif
}

INLINE void zip_pairs(dot_codes a, dot_codes b, dot_codes *low, dot_codes *high) {
#if DOT_BYTES == 64
  *low = (dot_codes)_mm512_unpacklo_epi16((__m512i)a, (__m512i)b);
  *high = (dot_codes)_mm512_unpackhi_epi16((__m512i)a, (__m512i)b);
#elif DOT_BYTES == 32
  *low = (dot_codes)_mm256_unpacklo_epi16((__m256i)a, (__m256i)b);
  *high = (dot_codes)_mm256_unpackhi_epi16((__m256i)a, (__m256i)b);
#else
  typedef uint16_t u16x8 __attribute__((vector_size(16)));
  const u16x8 x = (u16x8)a, y = (u16x8)b;
  *low = (dot_codes)__builtin_shufflevector(x, y, 0, 8, 1, 9, 2, 10, 3, 11);
  *high = (dot_codes)__builtin_shufflevector(x, y, 4, 12, 5, 13, 6, 14, 7, 15);
#endif
}

// The sums of the lanes of four registers.
INLINE void sum_lanes_of_four(const dot_sums in[4], int32_t sums[4]) {
#if DOT_BYTES == 64
  const __m512i ab = _mm512_add_epi32(_mm512_unpacklo_epi32((__m512i)in[0], (__m512i)in[1]),
                                      _mm512_unpackhi_epi32((__m512i)in[0], (__m512i)in[1]));
  const __m512i cd = _mm512_add_epi32(_mm512_unpacklo_epi32((__m512i)in[2], (__m512i)in[3]),
                                      _mm512_unpackhi_epi32((__m512i)in[2], (__m512i)in[3]));
  const __m512i all = _mm512_add_epi32(_mm512_unpacklo_epi64(ab, cd), _mm512_unpackhi_epi64(ab, cd));
  const __m256i half = _mm256_add_epi32(_mm512_castsi512_si256(all), _mm512_extracti64x4_epi64(all, 1));
  const __m128i quarter = _mm_add_epi32(_mm256_castsi256_si128(half), _mm256_extracti128_si256(half, 1));
  _mm_storeu_si128((__m128i *)sums, quarter);
#elif DOT_BYTES == 32
  const __m256i ab = _mm256_hadd_epi32((__m256i)in[0], (__m256i)in[1]);
  const __m256i cd = _mm256_hadd_epi32((__m256i)in[2], (__m256i)in[3]);
  const __m256i all = _mm256_hadd_epi32(ab, cd);
  const __m128i half = _mm_add_epi32(_mm256_castsi256_si128(all), _mm256_extracti128_si256(all, 1));
  _mm_storeu_si128((__m128i *)sums, half);
#else
  for (int32_t r = 0; r < 4; r++) sums[r] = in[r][0] + in[r][1] + in[r][2] + in[r][3];
#endif
}

// Four registers of bytes as lanes of four: lane 4g + i of `out[k]` has byte 16g + 4k + i of each.
INLINE void zip_four(const dot_codes in[4], dot_codes out[4]) {
  dot_codes a, b, c, d;
  zip_bytes(in[0], in[1], &a, &b);
  zip_bytes(in[2], in[3], &c, &d);
  zip_pairs(a, c, &out[0], &out[1]);
  zip_pairs(b, d, &out[2], &out[3]);
}

#if DOT_BYTES == 64
// Out[g] has the quarters g of four registers, one after the other.
INLINE void turn_quarters(__m512i x0, __m512i x1, __m512i x2, __m512i x3, __m512i out[4]) {
  const __m512i a = _mm512_shuffle_i32x4(x0, x1, 0x88), b = _mm512_shuffle_i32x4(x0, x1, 0xdd);
  const __m512i c = _mm512_shuffle_i32x4(x2, x3, 0x88), d = _mm512_shuffle_i32x4(x2, x3, 0xdd);
  out[0] = _mm512_shuffle_i32x4(a, c, 0x88);
  out[1] = _mm512_shuffle_i32x4(b, d, 0x88);
  out[2] = _mm512_shuffle_i32x4(a, c, 0xdd);
  out[3] = _mm512_shuffle_i32x4(b, d, 0xdd);
}
#endif

#endif
