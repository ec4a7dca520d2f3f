// Half rotation of queries and keys, and the write to the cache; see reference.ts and
// ../attention/cache-codec.ts.
// p: step, qkv, rotations, keys, values · i: rows, nHeads, nKvHeads, headDim, capacity, cache type
// (../attention/cache.h)
#include "../../../native/kernel.h"
#include "../attention/cache.h"

static work_plan rope_cache_plan(const command *c, int32_t phase, int32_t threads) {
  (void)phase;
  return c->i[0] < 4 ? one_piece(c->i[0]) : split_evenly(c->i[0], threads);
}

INLINE void rotate_half(float *v, const float *rotation, int32_t half) {
  for (int32_t i = 0; i < half; i++) {
    const float a = v[i], b = v[i + half], cosine = rotation[i], sine = rotation[half + i];
    v[i] = a * cosine - b * sine;
    v[i + half] = b * cosine + a * sine;
  }
}

// Stores x as f16 and returns what was stored.
INLINE float store_half(uint8_t *p, float x) {
  const uint16_t bits = to_f16(x);
  *(uint16_t *)p = bits;
  return half_value(bits);
}

INLINE float inverse_of(float scale) { return scale > 0.0f ? 1.0f / scale : 0.0f; }

INLINE i32x16 codes_of(f32x16 x, float least, float most) {
  return __builtin_convertvector(round16(min16(max16(x, all16(least)), all16(most))), i32x16);
}

// x (n, at most 256) as codes, and its scale to p; lanes beyond n hold anything.
INLINE void quantize8(int8_t *codes, uint8_t *p, const float *x, int32_t n) {
  f32x16 peak = {0};
  for (int32_t d = 0; d < n; d += LANES) peak = max16(peak, abs16(load_first(x + d, n - d)));
  const float inverse = inverse_of(store_half(p, max_lanes(peak) / 127.0f));
  for (int32_t d = 0; d < n; d += LANES) {
    const i32x16 whole = codes_of(load_first(x + d, n - d) * inverse, -127.0f, 127.0f);
    *(i8x16_any *)(codes + d) = __builtin_convertvector(whole, i8x16);
  }
}

// A group x (n, at most 32) as 32 codes, zero from n on; its scale and its offset to p.
INLINE void quantize4(uint8_t *codes, uint8_t *p, const float *x, int32_t n) {
  float least = x[0], most = x[0];
  for (int32_t d = 1; d < n; d++) {
    least = x[d] < least ? x[d] : least;
    most = x[d] > most ? x[d] : most;
  }
  // Adding zero makes a zero positive, whichever of two zeros was found.
  const float offset = store_half(p + 2 * BLOCK, least + 0.0f);
  const float range = most - offset + 0.0f;
  const float inverse = inverse_of(store_half(p, range / 15.0f));
  for (int32_t d = 0; d < INT4_GROUP; d += LANES) {
    const int32_t left = n - d;
    f32x16 v = all16(offset);
    for (int32_t i = 0; i < LANES && i < left; i++) v[i] = x[d + i];
    i32x16 whole = codes_of((v - offset) * inverse, 0.0f, 15.0f);
    for (int32_t i = left > 0 ? left : 0; i < LANES; i++) whole[i] = 0;
    *(u8x16_any *)(codes + d) = __builtin_convertvector(whole, u8x16);
  }
}

// One head's key to its lane of a block.
static void write_key(int32_t type, uint8_t *block, size_t header, int32_t lane, const float *x,
                      int32_t n) {
  switch (type) {
    case CACHE_INT4: {
      uint8_t codes[INT4_GROUP];
      uint8_t *to = block + header + lane;
      for (int32_t d = 0; d < n; d += INT4_GROUP) {
        const int32_t count = n - d < INT4_GROUP ? n - d : INT4_GROUP;
        quantize4(codes, block + 2 * d + 2 * lane, x + d, count);
        for (int32_t i = 0; i < count; i += 2, to += BLOCK) *to = codes[i] | codes[i + 1] << 4;
      }
      break;
    }
    case CACHE_INT8: {
      int8_t codes[256];
      quantize8(codes, block + 2 * lane, x, n);
      for (int32_t d = 0; d < n; d++) block[header + (size_t)d * BLOCK + lane] = (uint8_t)codes[d];
      break;
    }
    case CACHE_F32:
      for (int32_t d = 0; d < n; d++) ((float *)block)[d * BLOCK + lane] = x[d];
      break;
    default:
      for (int32_t d = 0; d < n; d++) ((uint16_t *)block)[d * BLOCK + lane] = to_f16(x[d]);
  }
}

// One head's values to their row of a block.
static void write_values(int32_t type, uint8_t *block, const cache_layout *layout, int32_t lane,
                         const float *x, int32_t n) {
  uint8_t *row = block + layout->header + lane * layout->value_row;
  switch (type) {
    case CACHE_INT4: {
      uint8_t codes[INT4_GROUP];
      for (int32_t d = 0; d < n; d += INT4_GROUP, row += 16) {
        const int32_t count = n - d < INT4_GROUP ? n - d : INT4_GROUP;
        quantize4(codes, block + 2 * d + 2 * lane, x + d, count);
        for (int32_t i = 0; i < 16; i++) row[i] = codes[i] | codes[i + 16] << 4;
      }
      break;
    }
    case CACHE_INT8: {
      int8_t codes[256];
      quantize8(codes, block + 2 * lane, x, n);
      for (int32_t d = 0; d < n; d++) row[d] = (uint8_t)codes[d];
      break;
    }
    case CACHE_F32:
      for (int32_t d = 0; d < n; d++) ((float *)row)[d] = x[d];
      break;
    default:
      for (int32_t d = 0; d < n; d++) ((uint16_t *)row)[d] = to_f16(x[d]);
  }
}

static void rope_cache_run(const command *c, int32_t phase, int32_t first, int32_t last) {
  (void)phase;
  const int32_t n_heads = c->i[1], n_kv = c->i[2], head_dim = c->i[3], half = head_dim / 2;
  const int32_t type = c->i[5];
  const size_t blocks = (size_t)c->i[4] / BLOCK;
  const cache_layout layout = layout_of(type, head_dim);
  for (int32_t row = first; row < last; row++) {
    const int32_t *step = (const int32_t *)c->p[0] + row * 4;
    const size_t slot = (size_t)step[1], position = (size_t)step[2];
    const int32_t lane = (int32_t)(position & 15);
    const float *rotation = (const float *)c->p[2] + position * head_dim;
    float *v = (float *)c->p[1] + (size_t)row * (n_heads + 2 * n_kv) * head_dim;
    for (int32_t head = 0; head < n_heads; head++, v += head_dim) rotate_half(v, rotation, half);
    for (int32_t head = 0; head < n_kv; head++, v += head_dim) {
      rotate_half(v, rotation, half);
      const size_t block = (slot * n_kv + head) * blocks + position / BLOCK;
      uint8_t *keys = (uint8_t *)c->p[3] + block * layout.key_block;
      write_key(type, keys, layout.header, lane, v, head_dim);
    }
    for (int32_t head = 0; head < n_kv; head++, v += head_dim) {
      const size_t block = (slot * n_kv + head) * blocks + position / BLOCK;
      uint8_t *values = (uint8_t *)c->p[4] + block * layout.value_block;
      write_values(type, values, &layout, lane, v, head_dim);
    }
  }
}
