// Half rotation of queries and keys, and the write to the cache; see reference.ts and
// ../attention/cache-codec.ts.
#include "../c/kernel.h"
#include "../attention/cache.h"
#include "../rms-norm/rms-norm.h"
#include "rotate.h"

enum { rope_cache_phases = 1 };

// Threads from which the heads of one row are worth sharing out.
#define THREADS_OF_ONE_ROW 8

// A task is a key head, with its queries, of as many rows as share the lines of a block of keys: of a prompt.
INLINE int32_t row_groups(const rope_cache_command *c) { return (c->rows + KEY_BLOCK - 1) / KEY_BLOCK; }

static work_plan rope_cache_plan(const rope_cache_command *c, int32_t phase, int32_t threads) {
  (void)phase;
  const int32_t tasks = row_groups(c) * c->cache_n_kv_heads;
  return c->rows < 4 && threads < THREADS_OF_ONE_ROW ? one_piece(tasks) : split_evenly(tasks, threads);
}

// RMSNorm of one head in place, where there is a weight.
INLINE void norm_head(float *v, const float *weight, int32_t head_dim, float eps) {
  if (!weight) return;
  const float inverse = rms_inverse(v, head_dim, eps);
  for (int32_t d = 0; d < head_dim; d++) v[d] = v[d] * inverse * weight[d];
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

// x (n, at most 256) as codes + 128, and its scale; lanes beyond n hold anything.
INLINE void quantize8(uint8_t *codes, uint8_t *scale, const float *x, int32_t n) {
  f32x16 peak = {0};
  for (int32_t d = 0; d < n; d += LANES) peak = max16(peak, abs16(load_first(x + d, n - d)));
  const float inverse = inverse_of(store_half(scale, max_lanes(peak) / 127.0f));
  for (int32_t d = 0; d < n; d += LANES) {
    const i32x16 whole = codes_of(load_first(x + d, n - d) * inverse, -127.0f, 127.0f) + 128;
    *(u8x16_any *)(codes + d) = __builtin_convertvector(whole, u8x16);
  }
}

// A group x (n, at most 32) as codes, its scale and its offset; lanes beyond n hold anything.
INLINE void quantize4(uint8_t *codes, uint8_t *scale, uint8_t *offset, const float *x, int32_t n) {
  float least = x[0], most = x[0];
  for (int32_t d = 1; d < n; d++) {
    least = x[d] < least ? x[d] : least;
    most = x[d] > most ? x[d] : most;
  }
  // Adding zero makes a zero positive, whichever of two zeros was found.
  const float o = store_half(offset, least + 0.0f);
  const float range = most - o + 0.0f;
  const float inverse = inverse_of(store_half(scale, range / 15.0f));
  for (int32_t d = 0; d < n; d += LANES) {
    const i32x16 whole = codes_of((load_first(x + d, n - d) - o) * inverse, 0.0f, 15.0f);
    *(u8x16_any *)(codes + d) = __builtin_convertvector(whole, u8x16);
  }
}

// Where a position's codes lie: neighbours of four dimensions as a key, of four positions as a value.
typedef struct {
  uint8_t *header;
  uint8_t *codes;
  size_t positions;  // of the block or chunk
  size_t i;          // this one's number in it
  int32_t is_value;
} code_place;

INLINE uint8_t *code_at(const code_place *p, size_t d) {
  if (p->is_value) {
    return p->codes + (d / 16) * 16 * p->positions + (p->i / 4 * 16 + d % 16) * 4 + p->i % 4;
  }
  return p->codes + (d / 4 * KEY_BLOCK + p->i) * 4 + d % 4;
}

static void write_codes8(const code_place *p, const float *x, int32_t n) {
  uint8_t codes[MAX_HEAD_DIM];
  quantize8(codes, p->header + 2 * p->i, x, n);
  for (int32_t d = 0; d < n; d++) *code_at(p, (size_t)d) = codes[d];
}

static void write_codes4(const code_place *p, const float *x, int32_t n) {
  uint8_t codes[INT4_GROUP];
  code_place group = *p;
  for (int32_t from = 0; from < n; from += INT4_GROUP) {
    const int32_t count = n - from < INT4_GROUP ? n - from : INT4_GROUP;
    uint8_t *scale = group.header + 2 * p->i;
    quantize4(codes, scale, scale + 2 * p->positions, x + from, count);
    for (int32_t d = 0; d < count && d < 16; d++) {
      uint8_t *to = code_at(&group, (size_t)d);
      *to = (uint8_t)((*to & 0xf0) | codes[d]);
      if (d + 16 < count) *to = (uint8_t)(codes[d] | codes[d + 16] << 4);
    }
    group.header += 4 * p->positions;
    group.codes += 16 * p->positions;
  }
}

// One head's key or values at `position` of its block; `p` has what lies at the block's first position.
static void write_vector(int32_t type, uint8_t *p, const cache_layout *layout, int32_t is_value,
                         size_t position, const float *x, int32_t n) {
  const size_t bytes = layout->header + (is_value ? layout->value : layout->key);
  if (type == CACHE_F32 || type == CACHE_F16) {
    const size_t first = is_value ? position : position / KEY_BLOCK * KEY_BLOCK;
    const size_t step = is_value ? 1 : KEY_BLOCK, lane = is_value ? 0 : position % KEY_BLOCK;
    float *wide = (float *)(p + first * bytes) + lane;
    uint16_t *half = (uint16_t *)(p + first * bytes) + lane;
    for (int32_t d = 0; type == CACHE_F32 && d < n; d++) wide[d * step] = x[d];
    int32_t d = 0;
    // Whole parts with steps that are constants: the compiler makes single stores of these.
    for (; type == CACHE_F16 && d + LANES <= n; d += LANES) {
      if (is_value) {
        store_f16(half + d, load16(x + d));
        continue;
      }
      uint16_t part[LANES];
      store_f16(part, load16(x + d));
      for (int32_t i = 0; i < LANES; i++) half[(d + i) * KEY_BLOCK] = part[i];
    }
    for (; type == CACHE_F16 && d < n; d++) half[d * step] = to_f16(x[d]);
    return;
  }
  const size_t count = is_value ? ATTENTION_CHUNK : KEY_BLOCK, first = position / count * count;
  uint8_t *header = p + first * bytes;
  const code_place place = {header, header + layout->header * count, count, position - first, is_value};
  if (type == CACHE_INT8) write_codes8(&place, x, n);
  else write_codes4(&place, x, n);
}

// Asks for the memory that a head of a row writes to: a position's key is one number of each of many lines, which
// no processor foresees. Of codes, the keys alone.
INLINE void prefetch_head(const rope_cache_command *c, int32_t row, int32_t head, const cache_layout *layout) {
  const int32_t *step = c->step + row * STEP_WORDS;
  const size_t position = (size_t)step[STEP_POSITION] % ATTENTION_CHUNK;
  const size_t key_bytes = layout->header + layout->key;
  const size_t at = block_start(c->table_data, c->table_columns, (size_t)step[STEP_SLOT],
                                (size_t)step[STEP_POSITION], c->cache_n_kv_heads, head);
  const uint8_t *keys = c->cache_keys + (at + position / KEY_BLOCK * KEY_BLOCK) * key_bytes;
  const uint8_t *values = c->cache_values + (at + position) * layout->value;
  for (size_t i = 0; i < KEY_BLOCK * key_bytes; i += 64) __builtin_prefetch(keys + i, 1, 2);
  if (layout->header > 0) return;
  for (size_t i = 0; i < layout->value; i += 64) __builtin_prefetch(values + i, 1, 2);
}

// Whether a row writes to other lines than the one before it.
INLINE int32_t is_elsewhere(const int32_t *step) {
  return step[STEP_SLOT] != step[STEP_SLOT - STEP_WORDS] || step[STEP_POSITION] % KEY_BLOCK == 0;
}

// A key head of a row, with its queries: all are turned, and key and values written.
INLINE void turn_and_store(const rope_cache_command *c, int32_t row, int32_t head, const cache_layout *layout) {
  const int32_t n_heads = c->n_heads, n_kv = c->cache_n_kv_heads, per_kv = n_heads / n_kv;
  const int32_t head_dim = c->cache_head_dim, half = head_dim / 2, type = c->cache_type;
  const int32_t *step = c->step + row * STEP_WORDS;
  const size_t slot = (size_t)step[STEP_SLOT], position = (size_t)step[STEP_POSITION];
  const size_t at = block_start(c->table_data, c->table_columns, slot, position, n_kv, head);
  const size_t in_block = position % ATTENTION_CHUNK;
  const float *rotation = c->rotations + position * head_dim;
  float *heads = c->qkv + (size_t)row * (n_heads + 2 * n_kv) * head_dim;
  float *query = heads + (size_t)head * per_kv * head_dim;
  for (int32_t i = 0; i < per_kv; i++, query += head_dim) {
    norm_head(query, c->head_norms_query, head_dim, c->head_norms_eps);
    rotate_half(query, rotation, half, 1.0f);
  }
  float *key = heads + (size_t)(n_heads + head) * head_dim;
  norm_head(key, c->head_norms_key, head_dim, c->head_norms_eps);
  rotate_half(key, rotation, half, 1.0f);
  write_vector(type, c->cache_keys + at * (layout->header + layout->key), layout, 0, in_block, key, head_dim);
  const float *value = key + (size_t)n_kv * head_dim;
  write_vector(type, c->cache_values + at * (layout->header + layout->value), layout, 1, in_block, value, head_dim);
}

static void rope_cache_run(const rope_cache_command *c, int32_t phase, int32_t first, int32_t last) {
  (void)phase;
  const cache_layout layout = layout_of(c->cache_type, c->cache_head_dim);
  for (int32_t task = first; task < last; task++) {
    const int32_t head = task % c->cache_n_kv_heads, row = task / c->cache_n_kv_heads * KEY_BLOCK;
    const int32_t end = row + KEY_BLOCK < c->rows ? row + KEY_BLOCK : c->rows;
    for (int32_t at = row; at < end; at++) {
      if (at + 1 < end && is_elsewhere(c->step + (at + 1) * STEP_WORDS)) prefetch_head(c, at + 1, head, &layout);
      turn_and_store(c, at, head, &layout);
    }
  }
}
