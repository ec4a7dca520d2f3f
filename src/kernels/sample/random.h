// Random numbers of a position and of its tokens; see random.ts.
#ifndef BITNET_RANDOM_H
#define BITNET_RANDOM_H

#include "../c/vec.h"

typedef struct {
  uint32_t first, second;
} position_key;

INLINE position_key key_of_position(uint32_t seed_low, uint32_t seed_high, uint32_t sequence,
                                    uint32_t position) {
  uint32_t a = position, b = sequence, c = 0, d = 0;
  for (int32_t round = 0; round < 10; round++) {
    const uint64_t x = (uint64_t)0xd2511f53u * a, y = (uint64_t)0xcd9e8d57u * c;
    a = (uint32_t)(y >> 32) ^ b ^ seed_low;
    b = (uint32_t)y;
    c = (uint32_t)(x >> 32) ^ d ^ seed_high;
    d = (uint32_t)x;
    seed_low += 0x9e3779b9u;
    seed_high += 0xbb67ae85u;
  }
  return (position_key){a, b};
}

INLINE u32x16 mix16(u32x16 z) {
  z = (z ^ z >> 16) * 0x21f0aaadu;
  z = (z ^ z >> 15) * 0x735a2d97u;
  return z ^ z >> 15;
}

// Numbers of sixteen tokens, all between 0 and 1 as likely.
INLINE f32x16 uniform16(i32x16 tokens, position_key key) {
  const u32x16 words = mix16(mix16((u32x16)tokens ^ key.first) ^ key.second);
  return (__builtin_convertvector((i32x16)(words >> 1), f32x16) + 0.5f) * 0x1p-31f;
}

// -ln(1 - u): exponentially distributed numbers, none below its u by more than rounding.
INLINE f32x16 exponential16(f32x16 u) {
  const f32x16 rest = max16(1.0f - u, all16(0x1p-32f));
  const i32x16 is_half = rest >= all16(0.5f);
  const u32x16 bits = (u32x16)rest;
  const i32x16 halvings = (126 - (i32x16)(bits >> 23)) & ~is_half;
  const f32x16 part = (f32x16)((bits & 0x7fffffu) | 126u << 23);
  const f32x16 gap = select16(is_half, u, 1.0f - part);
  const f32x16 s = gap / (2.0f - gap);
  const f32x16 square = s * s;
  f32x16 p = all16(1.0f / 13.0f);
  p = p * square + 1.0f / 11.0f;
  p = p * square + 1.0f / 9.0f;
  p = p * square + 1.0f / 7.0f;
  p = p * square + 1.0f / 5.0f;
  p = p * square + 1.0f / 3.0f;
  p = p * square + 1.0f;
  return __builtin_convertvector(halvings, f32x16) * 0.693147180559945309f + 2.0f * s * p;
}

#endif
