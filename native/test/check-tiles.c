// Tests AMX's instructions, real or emulated, against plain arithmetic: tiles of random shapes, strides of
// either sign, all four kinds of product. See emulate-instructions.h.
#include <stdio.h>
#include <string.h>

#include "check-emulation.h"

#define MAX_STRIDE 160
#define STALE 0x55

typedef struct {
  uint8_t palette, start_row, reserved[14];
  uint16_t row_bytes[16];
  uint8_t rows[16];
} tile_config;

// Rows of up to 64 bytes, `stride` bytes apart, with other bytes between them.
typedef struct {
  uint8_t bytes[16 * MAX_STRIDE];
  int64_t first, stride;
} spread;

// c[m][n] += a[m][4 k + i] * b[k][4 n + i], of m x k and k x n groups of four bytes.
static struct {
  int32_t m, n, k;
  uint8_t a[16][64], b[16][64];
  uint32_t c[16][16];
} product;

// What the instructions read and write.
static tile_config config, copied, released;
static spread a, b, c, c_before;
static uint32_t from_zero[16][16], cleared[16][16];

static void spread_rows(spread *s, const void *rows, int32_t count, int32_t bytes) {
  random_bytes(s->bytes, sizeof s->bytes);
  const int64_t stride = 2 * random_from(bytes / 2, MAX_STRIDE / 2);
  const int backwards = random_from(0, 1);
  s->stride = backwards ? -stride : stride;
  s->first = backwards ? 15 * stride : 0;
  for (int32_t r = 0; r < count; r++) {
    memcpy(s->bytes + s->first + r * s->stride, (const uint8_t *)rows + r * 64, (size_t)bytes);
  }
}

static void prepare(int32_t to, int32_t left, int32_t right) {
  product.m = random_from(1, 16);
  product.n = random_from(1, 16);
  product.k = random_from(1, 16);
  random_bytes(product.a, sizeof product.a);
  random_bytes(product.b, sizeof product.b);
  random_bytes(product.c, sizeof product.c);
  spread_rows(&a, product.a, product.m, 4 * product.k);
  spread_rows(&b, product.b, product.k, 4 * product.n);
  spread_rows(&c, product.c, product.m, 4 * product.n);
  c_before = c;
  config = (tile_config){.palette = 1};
  config.rows[to] = config.rows[left] = (uint8_t)product.m;
  config.rows[right] = (uint8_t)product.k;
  config.row_bytes[to] = config.row_bytes[right] = (uint16_t)(4 * product.n);
  config.row_bytes[left] = (uint16_t)(4 * product.k);
  memset(&copied, STALE, sizeof copied);
  memset(&released, STALE, sizeof released);
  memset(from_zero, STALE, sizeof from_zero);
  memset(cleared, STALE, sizeof cleared);
}

// The product on top of what configuring leaves, zeros, and on top of c; then what tilezero leaves.
#define EXECUTE(name, to, left, right)                                                            \
  __asm__ volatile(                                                                               \
      "ldtilecfg %[config]\n\t"                                                                   \
      "sttilecfg %[copied]\n\t"                                                                   \
      "tileloadd (%[a], %[a_stride]), %%tmm" #left "\n\t"                                         \
      "tileloaddt1 -8(%[b_8], %[b_half], 2), %%tmm" #right "\n\t"                                 \
      #name " %%tmm" #right ", %%tmm" #left ", %%tmm" #to "\n\t"                                  \
      "tilestored %%tmm" #to ", 4096(%[zero_4096], %[packed])\n\t"                                \
      "tileloadd (%[c], %[c_stride]), %%tmm" #to "\n\t"                                           \
      #name " %%tmm" #right ", %%tmm" #left ", %%tmm" #to "\n\t"                                  \
      "tilestored %%tmm" #to ", (%[c], %[c_stride])\n\t"                                          \
      "tilezero %%tmm" #to "\n\t"                                                                 \
      "tilestored %%tmm" #to ", (%[cleared], %[packed])\n\t"                                      \
      "tilerelease\n\t"                                                                           \
      "sttilecfg %[released]"                                                                     \
      : [copied] "=m"(copied), [released] "=m"(released)                                          \
      : [config] "m"(config), [a] "r"(a.bytes + a.first), [a_stride] "r"(a.stride),               \
        [b_8] "r"(b.bytes + b.first + 8), [b_half] "r"(b.stride / 2), [c] "r"(c.bytes + c.first), \
        [c_stride] "r"(c.stride), [zero_4096] "r"((uint8_t *)from_zero - 4096),                   \
        [cleared] "r"(cleared), [packed] "r"((int64_t)64)                                         \
      : "memory")

static int32_t plain(uint8_t byte, int is_signed) { return is_signed && byte > 127 ? byte - 256 : byte; }

// Compares, outside of the tiles too.
static int check(const char *text, int left_signed, int right_signed) {
  spread expected = c_before;
  int wrong = 0;
  for (int32_t m = 0; m < 16; m++) {
    for (int32_t n = 0; n < 16; n++) {
      const int inside = m < product.m && n < product.n;
      uint32_t sum = 0;
      for (int32_t i = 0; inside && i < 4 * product.k; i++) {
        sum += (uint32_t)(plain(product.a[m][i], left_signed) *
                          plain(product.b[i / 4][4 * n + i % 4], right_signed));
      }
      wrong |= from_zero[m][n] != (inside ? sum : STALE * 0x01010101u);
      wrong |= cleared[m][n] != (inside ? 0 : STALE * 0x01010101u);
      sum += product.c[m][n];
      if (inside) memcpy(expected.bytes + expected.first + m * expected.stride + 4 * n, &sum, 4);
    }
  }
  wrong |= memcmp(expected.bytes, c.bytes, sizeof c.bytes) != 0;
  wrong |= memcmp(&copied, &config, sizeof config) != 0;
  wrong |= memcmp(&released, &(tile_config){0}, sizeof released) != 0;
  if (wrong) printf("%s: wrong for %d x %d x %d\n", text, product.m, product.n, 4 * product.k);
  return wrong;
}

#define CHECK(name, to, left, right, left_signed, right_signed)                            \
  prepare(to, left, right);                                                                \
  EXECUTE(name, to, left, right);                                                          \
  wrong += check(#name " " #to ", " #left ", " #right, left_signed, right_signed);

int check_tiles(void) {
  int wrong = 0;
  for (int32_t round = 0; round < 100; round++) {
    CHECK(tdpbsud, 0, 4, 6, 1, 0)
    CHECK(tdpbsud, 1, 4, 7, 1, 0)
    CHECK(tdpbsud, 2, 5, 6, 1, 0)
    CHECK(tdpbsud, 3, 5, 7, 1, 0)
    CHECK(tdpbsud, 6, 2, 1, 1, 0)
    CHECK(tdpbusd, 7, 0, 5, 0, 1)
    CHECK(tdpbssd, 5, 1, 3, 1, 1)
    CHECK(tdpbuud, 4, 3, 2, 0, 0)
  }
  return wrong;
}
