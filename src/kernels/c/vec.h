// Sixteen float32 lanes, written once and compiled for every instruction set.
//
// The order of every float operation is part of the specification (see each reference.ts), and the
// build turns contraction into fused multiply-add off, so all variants agree bit for bit.
#ifndef BITNET_VEC_H
#define BITNET_VEC_H

#include <stddef.h>
#include <stdint.h>
#if defined(__F16C__) || defined(__AVX512F__)
#include <immintrin.h>
#elif defined(__wasm_relaxed_simd__)
#include <wasm_simd128.h>
#endif

#define LANES 16
#define INLINE static inline __attribute__((always_inline))

typedef float f32x16 __attribute__((vector_size(64)));
typedef int32_t i32x16 __attribute__((vector_size(64)));
typedef uint32_t u32x16 __attribute__((vector_size(64)));
typedef int16_t i16x16 __attribute__((vector_size(32)));
typedef uint16_t u16x16 __attribute__((vector_size(32)));
typedef int8_t i8x16 __attribute__((vector_size(16)));
typedef uint8_t u8x16 __attribute__((vector_size(16)));
// The same for addresses that need not be aligned and may hold other types.
typedef float f32x16_any __attribute__((vector_size(64), aligned(1), may_alias));
typedef int32_t i32x16_any __attribute__((vector_size(64), aligned(1), may_alias));
typedef uint16_t u16x16_any __attribute__((vector_size(32), aligned(1), may_alias));
typedef int8_t i8x16_any __attribute__((vector_size(16), aligned(1), may_alias));
typedef uint8_t u8x16_any __attribute__((vector_size(16), aligned(1), may_alias));
#if defined(__aarch64__)
// Converts from and to float32 in the processor's default mode, which nothing here changes: nearest,
// ties to even, IEEE halves, subnormals kept.
typedef __fp16 f16x16 __attribute__((vector_size(32)));
typedef __fp16 f16x16_any __attribute__((vector_size(32), aligned(1), may_alias));
#endif

INLINE f32x16 load16(const float *p) { return *(const f32x16_any *)p; }
INLINE void store16(float *p, f32x16 v) { *(f32x16_any *)p = v; }
INLINE f32x16 all16(float x) { return x - (f32x16){0}; }
// a where the mask's lane is all ones, b where it is zero.
INLINE f32x16 select16(i32x16 mask, f32x16 a, f32x16 b) {
  return (f32x16)(((i32x16)a & mask) | ((i32x16)b & ~mask));
}
INLINE f32x16 max16(f32x16 a, f32x16 b) { return select16(a > b, a, b); }
INLINE f32x16 min16(f32x16 a, f32x16 b) { return select16(a < b, a, b); }
INLINE f32x16 abs16(f32x16 a) { return (f32x16)((i32x16)a & 0x7fffffff); }

INLINE f32x16 sqrt16(f32x16 x) {
  for (int32_t i = 0; i < LANES; i++) x[i] = __builtin_sqrtf(x[i]);
  return x;
}

// Stores the first n lanes, n in 1..16.
INLINE void store_first(float *p, f32x16 v, int32_t n) {
  if (n >= LANES) {
    store16(p, v);
  } else {
    for (int32_t i = 0; i < n; i++) p[i] = v[i];
  }
}

INLINE f32x16 load_first(const float *p, int32_t n) {
  if (n >= LANES) return load16(p);
  f32x16 v = {0};
  for (int32_t i = 0; i < n; i++) v[i] = p[i];
  return v;
}

// The sum of 16 lanes as a tree: widths 8, 4, 2, 1.
INLINE float sum_lanes(f32x16 v) {
  float lane[LANES];
  store16(lane, v);
  for (int32_t width = 8; width > 0; width /= 2) {
    for (int32_t i = 0; i < width; i++) lane[i] = lane[i] + lane[i + width];
  }
  return lane[0];
}

// Whether a lane of the mask is set.
INLINE int32_t any16(i32x16 mask) {
#if defined(__AVX512F__)
  return _mm512_test_epi32_mask((__m512i)mask, (__m512i)mask);
#else
  int32_t any = 0;
  for (int32_t i = 0; i < LANES; i++) any |= mask[i];
  return any;
#endif
}

// The lanes of a mask that are set, a bit each.
INLINE uint32_t bits16(i32x16 mask) {
#if defined(__AVX512F__)
  return _mm512_test_epi32_mask((__m512i)mask, (__m512i)mask);
#else
  uint32_t bits = 0;
  for (int32_t i = 0; i < LANES; i++) bits |= (uint32_t)(mask[i] & 1) << i;
  return bits;
#endif
}

INLINE float max_lanes(f32x16 v) {
  float m = v[0];
  for (int32_t i = 1; i < LANES; i++) m = v[i] > m ? v[i] : m;
  return m;
}

// Half to even, for magnitudes below 2^22: the sum with 1.5 * 2^23 has no bits for a fraction.
INLINE f32x16 round16(f32x16 x) {
  const f32x16 magic = all16(12582912.0f);
  return (x + magic) - magic;
}

INLINE float round1(float x) { return (x + 12582912.0f) - 12582912.0f; }

// f16 to f32, exact. Without an instruction for it: the bits as a float32 times 2^112, which is exact
// for normal and subnormal numbers; infinities and NaN get their exponent back.
INLINE f32x16 load_f16(const uint16_t *p) {
#if defined(__AVX512F__)
  return (f32x16)_mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)p));
#elif defined(__F16C__)
  union {
    __m256 half[2];
    f32x16 whole;
  } v;
  v.half[0] = _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)p));
  v.half[1] = _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(p + 8)));
  return v.whole;
#elif defined(__aarch64__)
  return __builtin_convertvector((f16x16) * (const f16x16_any *)p, f32x16);
#else
  // The sign fills the upper half, so that one shift takes it and the rest to their places.
  const i32x16 h = __builtin_convertvector((i16x16) * (const u16x16_any *)p, i32x16);
  const i32x16 special = (i32x16)((h & 0x7c00) == 0x7c00) & 0x7f800000;
  const f32x16 scaled = (f32x16)((u32x16)h << 13 & 0x8fffe000) * 0x1p112f;
  return (f32x16)((i32x16)scaled | special);
#endif
}

// The same for finite halves, in half as many steps where there is no instruction: `seen` gathers
// magnitudes, from which `all_finite` tells afterwards whether the results can be used.
INLINE f32x16 load_finite_f16(const uint16_t *p, u16x16 *seen) {
#if defined(__AVX512F__) || defined(__F16C__) || defined(__aarch64__)
  (void)seen;
  return load_f16(p);
#else
  const u16x16 magnitudes = *(const u16x16_any *)p & 0x7fff;
#if __has_builtin(__builtin_elementwise_max)
  *seen = __builtin_elementwise_max(magnitudes, *seen);
#else
  const u16x16 larger = (u16x16)(magnitudes > *seen);
  *seen = (magnitudes & larger) | (*seen & ~larger);
#endif
  const u32x16 h = (u32x16)__builtin_convertvector((i16x16) * (const u16x16_any *)p, i32x16);
  return (f32x16)(h << 13 & 0x8fffe000) * 0x1p112f;
#endif
}

INLINE int32_t all_finite(u16x16 seen) {
  int32_t finite = 1;
  for (int32_t i = 0; i < LANES; i++) finite &= seen[i] < 0x7c00;
  return finite;
}

// f32 to f16, nearest with ties to even, overflow to infinity; NaN loses its fraction.
INLINE uint16_t to_f16(float x) {
  union {
    float f;
    uint32_t u;
  } v = {x};
  const uint32_t sign = (v.u >> 16) & 0x8000;
#if defined(__aarch64__)
  if (x != x) return (uint16_t)(sign | 0x7e00);
  union {
    __fp16 f;
    uint16_t u;
  } half = {(__fp16)x};
  return half.u;
#else
  v.u &= 0x7fffffff;
  if (v.u >= 0x7f800000) return (uint16_t)(sign | (v.u > 0x7f800000 ? 0x7e00 : 0x7c00));
  if (v.u >= 0x477ff000) return (uint16_t)(sign | 0x7c00);  // rounds to 65536 or more
  if (v.u < 0x38800000) {  // below the smallest normal f16: count in units of 2^-24
    const float units = v.f * 0x1p24f;
    return (uint16_t)(sign | (uint32_t)round1(units));
  }
  const uint32_t odd = (v.u >> 13) & 1;
  return (uint16_t)(sign | ((v.u + 0xfff + odd - 0x38000000) >> 13));
#endif
}

// Sixteen at once; see to_f16.
INLINE void store_f16(uint16_t *p, f32x16 v) {
#if defined(__AVX512F__)
  _mm256_storeu_si256((__m256i *)p, _mm512_cvtps_ph((__m512)v, _MM_FROUND_TO_NEAREST_INT));
#elif defined(__F16C__)
  union {
    f32x16 whole;
    __m256 half[2];
  } x = {v};
  _mm_storeu_si128((__m128i *)p, _mm256_cvtps_ph(x.half[0], _MM_FROUND_TO_NEAREST_INT));
  _mm_storeu_si128((__m128i *)(p + 8), _mm256_cvtps_ph(x.half[1], _MM_FROUND_TO_NEAREST_INT));
#elif defined(__aarch64__)
  const u32x16 nan = (u32x16)(v != v);
  v = (f32x16)(((u32x16)v & ~(nan & 0x7fffffff)) | (nan & 0x7fc00000));
  *(f16x16_any *)p = __builtin_convertvector(v, f16x16);
#else
  for (int32_t i = 0; i < LANES; i++) p[i] = to_f16(v[i]);
#endif
}

// 13 significant bits, nearest with ties to even, zero below 2^-100 and infinite from 2^112 on: a product
// with a half is then exact in float32; see shortFloat in src/kernels/float32.ts.
INLINE f32x16 short16(f32x16 x) {
  const u32x16 bits = (u32x16)(x * 0x1p16f * 0x1p-16f);
  const i32x16 large = (i32x16)(bits & 0x7fffffff) >= 0x0d800000;
  return (f32x16)((i32x16)((bits + 0x3ff + (bits >> 11 & 1)) & ~0x7ffu) & large);
}

INLINE float short1(float x) { return short16(all16(x))[0]; }

// sum + a * b where each product is exact in float32, as short floats by halves are: fused or not, the
// result has the same bits, so each processor uses what it is quick with.
INLINE f32x16 add_exact(f32x16 sum, f32x16 a, f32x16 b) {
#if defined(__AVX512F__)
  return (f32x16)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)sum);
#elif (defined(__FMA__) || defined(__aarch64__)) && __has_builtin(__builtin_elementwise_fma)
  return __builtin_elementwise_fma(a, b, sum);
#elif defined(__wasm_relaxed_simd__)
  union {
    f32x16 whole;
    v128_t quarter[4];
  } x = {a}, y = {b}, z = {sum};
  for (int32_t i = 0; i < 4; i++) {
    z.quarter[i] = wasm_f32x4_relaxed_madd(x.quarter[i], y.quarter[i], z.quarter[i]);
  }
  return z.whole;
#else
  return sum + a * b;
#endif
}

// The same of products that are not exact: where the order of sums is all that is specified.
INLINE f32x16 add_fused(f32x16 sum, f32x16 a, f32x16 b) { return add_exact(sum, a, b); }

// e^x for x clamped to [-87, 88]; see src/kernels/float32.ts for the method.
INLINE f32x16 exp16(f32x16 x) {
  x = min16(max16(x, all16(-87.0f)), all16(88.0f));
  const f32x16 n = round16(x * 1.4426950408889634f);
  const f32x16 r = (x - n * 0.693359375f) - n * -2.12194440e-4f;
  f32x16 p = all16(1.0f / 5040.0f);
  p = p * r + 1.0f / 720.0f;
  p = p * r + 1.0f / 120.0f;
  p = p * r + 1.0f / 24.0f;
  p = p * r + 1.0f / 6.0f;
  p = p * r + 0.5f;
  p = p * r + 1.0f;
  p = p * r + 1.0f;
  const i32x16 power = (__builtin_convertvector(n, i32x16) + 127) << 23;
  return p * (f32x16)power;
}

INLINE float exp1(float x) { return exp16(all16(x))[0]; }

// ln x of a normal, positive number; see src/kernels/float32.ts for the method.
INLINE float log1(float x) {
  union {
    float f;
    int32_t i;
  } v = {x};
  const int32_t exponent = (v.i - 0x3f3504f3) >> 23;
  v.i -= exponent * (1 << 23);
  const float s = (v.f - 1.0f) / (v.f + 1.0f), z = s * s;
  float p = 1.0f / 9.0f;
  p = p * z + 1.0f / 7.0f;
  p = p * z + 1.0f / 5.0f;
  p = p * z + 1.0f / 3.0f;
  p = p * z + 1.0f;
  return (float)exponent * 0.693359375f + ((float)exponent * -2.12194440e-4f + 2.0f * s * p);
}

#endif
