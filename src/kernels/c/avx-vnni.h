// vpdpbusd on 256-bit registers, as processors without AVX-512 have it: four products of an unsigned and
// a signed byte are added to each 32-bit lane, without saturation.
#ifndef BITNET_AVX_VNNI_H
#define BITNET_AVX_VNNI_H

#include <immintrin.h>

#include "vec.h"

// Half a tile of 16 rows; a tile's sums.
typedef union {
  __m256i half[2];
  i32x16 whole;
} half_tiles;

INLINE __m256i load_half(const uint8_t *tile, int32_t half) {
  return _mm256_loadu_si256((const __m256i *)(tile + half * 32));
}

INLINE __m256i word_of(const int8_t *q) { return _mm256_set1_epi32(*(const int32_t *)q); }

INLINE __m256i dot_bytes(__m256i sum, __m256i codes, __m256i word) {
  return _mm256_dpbusd_avx_epi32(sum, codes, word);
}

#endif
