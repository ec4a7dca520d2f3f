// The int8 product with vpmaddwd: bytes are widened first, because pairs of 255 * 127 would saturate
// the int16 that vpmaddubsw keeps.
#include <immintrin.h>

#include "dense-matmul.h"

// Six sums of two registers each, of sixteen.
#define DENSE_TOKENS 6
#define SHARED_STRIPES 1
// Two sums each of a quarter of the rows: with more tokens they would not stay in sixteen registers.
#define INT8_TOKENS 4

// Groups of four columns whose activations are widened at a time; 8 KiB for four tokens.
#define WIDE_GROUPS 128

// The planes of a token from int8 to int16, `groups` groups, rounded up to four. Planes are padded to
// as many columns.
INLINE void widen_planes(const int8_t *hi, size_t lo_offset, int32_t groups, int16_t *wide_hi,
                         int16_t *wide_lo) {
  for (int32_t col = 0; col < groups * 4; col += 16) {
    const __m128i *from_hi = (const __m128i *)(hi + col);
    const __m128i *from_lo = (const __m128i *)(hi + lo_offset + col);
    _mm256_store_si256((__m256i *)(wide_hi + col), _mm256_cvtepi8_epi16(_mm_loadu_si128(from_hi)));
    _mm256_store_si256((__m256i *)(wide_lo + col), _mm256_cvtepi8_epi16(_mm_loadu_si128(from_lo)));
  }
}

// Four columns in every quarter of a register.
INLINE __m256i quad_of(const int16_t *wide) { return _mm256_set1_epi64x(*(const int64_t *)wide); }

// Neighbouring pairs of two registers added up: rows 0..3 from a, rows 4..7 from b.
INLINE __m256i add_pairs(__m256i a, __m256i b) {
  return _mm256_permute4x64_epi64(_mm256_hadd_epi32(a, b), 0xd8);
}

INLINE i32x16 join_parts(const __m256i *parts) {
  union {
    __m256i half[2];
    i32x16 whole;
  } sums;
  sums.half[0] = add_pairs(parts[0], parts[1]);
  sums.half[1] = add_pairs(parts[2], parts[3]);
  return sums.whole;
}

// One token: all parts at once, so that memory is read strictly forward.
INLINE void sums_alone(const uint8_t *w, int32_t groups, const int8_t *hi, size_t lo_offset, i32x16 *H,
                       i32x16 *L) {
  __m256i h[4], l[4];
  for (int32_t part = 0; part < 4; part++) h[part] = l[part] = _mm256_setzero_si256();
  for (int32_t group = 0; group < groups; group++, hi += 4) {
    const __m256i a = _mm256_cvtepi8_epi16(_mm_set1_epi32(*(const int32_t *)hi));
    const __m256i b = _mm256_cvtepi8_epi16(_mm_set1_epi32(*(const int32_t *)(hi + lo_offset)));
    for (int32_t part = 0; part < 4; part++) {
      const __m128i *from = (const __m128i *)(w + (size_t)group * 64 + part * 16);
      const __m256i x = _mm256_cvtepu8_epi16(_mm_loadu_si128(from));
      h[part] = _mm256_add_epi32(h[part], _mm256_madd_epi16(x, a));
      l[part] = _mm256_add_epi32(l[part], _mm256_madd_epi16(x, b));
    }
  }
  *H = join_parts(h);
  *L = join_parts(l);
}

INLINE void int8_sums(const int32_t tokens, const uint8_t *w, int32_t groups, const int8_t *planes,
                      size_t stride, size_t lo_offset, i32x16 *H, i32x16 *L) {
  if (tokens == 1) {
    sums_alone(w, groups, planes, lo_offset, H, L);
    return;
  }
  __m256i h[INT8_TOKENS][4], l[INT8_TOKENS][4];
  for (int32_t t = 0; t < tokens; t++) {
    for (int32_t part = 0; part < 4; part++) h[t][part] = l[t][part] = _mm256_setzero_si256();
  }
  for (int32_t start = 0; start < groups; start += WIDE_GROUPS) {
    const int32_t n = groups - start < WIDE_GROUPS ? groups - start : WIDE_GROUPS;
    _Alignas(32) int16_t hi[INT8_TOKENS][WIDE_GROUPS * 4], lo[INT8_TOKENS][WIDE_GROUPS * 4];
    for (int32_t t = 0; t < tokens; t++) {
      widen_planes(planes + t * stride + (size_t)start * 4, lo_offset, n, hi[t], lo[t]);
    }
    // Of the next stripe: see ternary-matmul/x86-avx512vnni.c.
    for (int32_t group = start; group < start + n; group++) {
      __builtin_prefetch(w + (size_t)(groups + group) * 64, 0, 2);
    }
    for (int32_t part = 0; part < 4; part++) {
      const uint8_t *from = w + (size_t)start * 64 + part * 16;
      __m256i a[INT8_TOKENS], b[INT8_TOKENS];
      for (int32_t t = 0; t < tokens; t++) a[t] = h[t][part], b[t] = l[t][part];
      for (int32_t group = 0; group < n; group++) {
        const __m128i *bytes = (const __m128i *)(from + (size_t)group * 64);
        const __m256i x = _mm256_cvtepu8_epi16(_mm_loadu_si128(bytes));
        for (int32_t t = 0; t < tokens; t++) {
          a[t] = _mm256_add_epi32(a[t], _mm256_madd_epi16(x, quad_of(hi[t] + group * 4)));
          b[t] = _mm256_add_epi32(b[t], _mm256_madd_epi16(x, quad_of(lo[t] + group * 4)));
        }
      }
      for (int32_t t = 0; t < tokens; t++) h[t][part] = a[t], l[t][part] = b[t];
    }
  }
  for (int32_t t = 0; t < tokens; t++) {
    H[t] = join_parts(h[t]);
    L[t] = join_parts(l[t]);
  }
}
