// The int8 product with vpmaddwd: weights widened to 16 bits by activations of 16 bits, whose sum is split
// into H and L where int32 could hold no more of it.
#include <immintrin.h>

#include "dense-matmul.h"

// Six sums of two registers each, of sixteen.
#define DENSE_TOKENS 6
#define SHARED_STRIPES 1
// A sum each of a quarter of the rows.
#define INT8_TOKENS 8

// Groups of four columns in a sum of int32, which gets two products of a group: 2 * 128 * 255 * 32512 is
// below 2^31. Their activations, 8 KiB for eight tokens, are widened at a time.
#define WIDE_GROUPS 128

// The activations of `groups` groups, rounded up to four. Planes are padded to as many columns, and what
// lies behind is not multiplied.
INLINE void widen_planes(const int8_t *hi, size_t lo_offset, int32_t groups, int16_t *wide) {
  for (int32_t col = 0; col < groups * 4; col += 16) {
    const __m256i high = _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)(hi + col)));
    const __m128i *lo = (const __m128i *)(hi + lo_offset + col);
    const __m256i low = _mm256_cvtepi8_epi16(_mm_loadu_si128(lo));
    const __m256i whole = _mm256_add_epi16(_mm256_slli_epi16(high, 8), low);
    _mm256_store_si256((__m256i *)(wide + col), whole);
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

INLINE void int8_sums(const int32_t tokens, const uint8_t *w, int32_t groups, const int8_t *planes,
                      size_t stride, size_t lo_offset, i32x16 *H, i32x16 *L) {
  // Quarters of a stripe at a time: all for one token, so that memory is read strictly forward, and eight
  // sums or less for more.
  const int32_t parts = tokens <= 2 ? 4 : tokens <= 4 ? 2 : 1;
  __m256i h[INT8_TOKENS][4], l[INT8_TOKENS][4];
  for (int32_t t = 0; t < tokens; t++) {
    for (int32_t part = 0; part < 4; part++) h[t][part] = l[t][part] = _mm256_setzero_si256();
  }
  for (int32_t start = 0; start < groups; start += WIDE_GROUPS) {
    const int32_t n = groups - start < WIDE_GROUPS ? groups - start : WIDE_GROUPS;
    const uint8_t *from = w + (size_t)start * 64;
    _Alignas(32) int16_t wide[INT8_TOKENS][WIDE_GROUPS * 4];
    for (int32_t t = 0; t < tokens; t++) {
      widen_planes(planes + t * stride + (size_t)start * 4, lo_offset, n, wide[t]);
    }
    for (int32_t part = 0; part < 4; part += parts) {
      __m256i sum[4][INT8_TOKENS];
      for (int32_t p = 0; p < parts; p++) {
        for (int32_t t = 0; t < tokens; t++) sum[p][t] = _mm256_setzero_si256();
      }
      for (int32_t group = 0; group < n; group++) {
        // Of the next stripe, see ternary-matmul/x86-avx512vnni.c: each pass asks for its share.
        if (tokens > 1 && group % (4 / parts) == part / parts) {
          __builtin_prefetch(from + (size_t)(groups + group) * 64, 0, 2);
        }
        for (int32_t p = 0; p < parts; p++) {
          const uint8_t *bytes = from + (size_t)group * 64 + (part + p) * 16;
          const __m256i x = _mm256_cvtepu8_epi16(_mm_loadu_si128((const __m128i *)bytes));
          for (int32_t t = 0; t < tokens; t++) {
            const __m256i products = _mm256_madd_epi16(x, quad_of(wide[t] + group * 4));
            sum[p][t] = _mm256_add_epi32(sum[p][t], products);
          }
        }
      }
      for (int32_t p = 0; p < parts; p++) {
        for (int32_t t = 0; t < tokens; t++) {
          const __m256i whole = sum[p][t], rest = _mm256_and_si256(whole, _mm256_set1_epi32(255));
          h[t][part + p] = _mm256_add_epi32(h[t][part + p], _mm256_srai_epi32(whole, 8));
          l[t][part + p] = _mm256_add_epi32(l[t][part + p], rest);
        }
      }
    }
  }
  for (int32_t t = 0; t < tokens; t++) {
    H[t] = join_parts(h[t]);
    L[t] = join_parts(l[t]);
  }
}
