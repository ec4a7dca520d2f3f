// Tests the emulation of instructions; see emulate-instructions.h.
#include "check-emulation.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../cpu.h"
#include "emulate-instructions.h"

static uint32_t seed = 1;

static uint32_t random_word(void) {
  seed ^= seed << 13;
  seed ^= seed >> 17;
  seed ^= seed << 5;
  return seed;
}

void random_bytes(void *to, size_t bytes) {
  static const uint8_t extremes[4] = {0x00, 0x7f, 0x80, 0xff};
  uint8_t *p = to;
  for (size_t i = 0; i < bytes; i++) {
    const uint32_t word = random_word();
    p[i] = word >> 8 & 7 ? (uint8_t)word : extremes[word & 3];
  }
}

int32_t random_from(int32_t first, int32_t last) {
  return first + (int32_t)(random_word() % (uint32_t)(last - first + 1));
}

// A configuration of tiles: byte 0 is the palette, 16-bit bytes of a row from 16 on, rows from 48 on.
static void configure(uint8_t *config) { __asm__ volatile("ldtilecfg %0" : : "m"(*(uint8_t(*)[64])config)); }

// Executes what a processor refuses. Tiles 0, 1 and 2 have 16 rows of 64 bytes.
static void fail(const char *fault) {
  uint8_t config[64] __attribute__((aligned(64))) = {1};
  for (int32_t tile = 0; tile < 3; tile++) {
    config[16 + 2 * tile] = 64;
    config[48 + tile] = 16;
  }
  if (strcmp(fault, "unknown-instruction") == 0) __asm__ volatile("ud2");
  if (strcmp(fault, "no-configuration") == 0) __asm__ volatile("tilezero %tmm0");
  if (strcmp(fault, "reserved-byte") == 0) config[63] = 1;
  if (strcmp(fault, "rows-beyond-16") == 0) config[48] = 17;
  if (strcmp(fault, "rows-without-bytes") == 0) config[16] = 0;
  if (strcmp(fault, "other-shapes") == 0) config[16] = 60;
  if (strcmp(fault, "odd-rows") == 0) config[16] = 63;
  configure(config);
  if (strcmp(fault, "unconfigured-tile") == 0) __asm__ volatile("tilezero %tmm3");
  // tdpbsud of tile 1 with itself, which the assembler refuses too.
  if (strcmp(fault, "one-tile-twice") == 0) __asm__ volatile(".byte 0xc4, 0xe2, 0x72, 0x5e, 0xc1");
  __asm__ volatile("tdpbsud %tmm2, %tmm1, %tmm0");
}

int check_emulation(const char *fault) {
  int32_t count;
  cpu_variants(&count);  // asks for the permission to use tiles, where there are any
  emulate_instructions();
  if (fault) {
    fail(fault);
    printf("nothing failed\n");
    return 1;
  }
  const int wrong = check_vectors() + check_tiles();
  print_emulated();
  return wrong > 0;
}
