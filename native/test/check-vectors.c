// Tests vpdpbusd and vpdpbusds with a VEX prefix, real or emulated, against plain arithmetic: every register
// as destination and as each source, and the forms of an address. See emulate-instructions.h.
#include <stdio.h>
#include <string.h>

#include "../cpu.h"
#include "check-emulation.h"

// The low 256 bits of the first sixteen registers.
typedef struct {
  uint8_t v[16][32];
} registers;

#define EACH_REGISTER(DO) \
  DO(0) DO(1) DO(2) DO(3) DO(4) DO(5) DO(6) DO(7) DO(8) DO(9) DO(10) DO(11) DO(12) DO(13) DO(14) DO(15)
#define LOAD(n) "vmovdqu 32*" #n "(%[before]), %%ymm" #n "\n\t"
#define STORE(n) "vmovdqu %%ymm" #n ", 32*" #n "(%[after])\n\t"

static registers before, after;
// What memory forms read: in the middle, for displacements of either sign.
static uint8_t around[8192];
// What the form relative to the instruction pointer reads.
__attribute__((used)) static uint8_t check_vectors_fixed[32];

// All forms find the same 32 bytes: `middle` is base, r12 and r13; `index` is 64.
#define EXECUTE(text)                                                                           \
  do {                                                                                          \
    random_bytes(&before, sizeof before);                                                       \
    random_bytes(check_vectors_fixed, sizeof check_vectors_fixed);                              \
    random_bytes(around, sizeof around);                                                        \
    memset(&after, 0, sizeof after);                                                            \
    register uint8_t *r12 __asm__("r12") = around + 4096, *r13 __asm__("r13") = around + 4096;   \
    __asm__ volatile(EACH_REGISTER(LOAD) text "\n\t" EACH_REGISTER(STORE) "vzeroupper"           \
                     :                                                                          \
                     : [before] "r"(&before), [after] "r"(&after), [base] "r"(around + 4096),    \
                       [index] "r"((int64_t)64), "r"(r12), "r"(r13)                              \
                     : "memory", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", \
                       "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15");    \
  } while (0)

static uint32_t dot(uint32_t sum, const uint8_t *a, const uint8_t *b, int saturate) {
  int64_t products = 0;
  for (int32_t i = 0; i < 4; i++) products += (int32_t)a[i] * (b[i] < 128 ? b[i] : b[i] - 256);
  if (!saturate) return sum + (uint32_t)products;
  const int64_t exact = products + (int32_t)sum;
  if (exact > INT32_MAX) return INT32_MAX;
  return exact < INT32_MIN ? (uint32_t)INT32_MIN : (uint32_t)exact;
}

// Compares all registers with what the instruction should have left there.
static int check(const char *text, int32_t to, int32_t a, const uint8_t *b, int32_t bytes, int saturate) {
  registers expected = before;
  for (int32_t at = 0; at < 32; at += 4) {
    uint32_t sum;
    memcpy(&sum, before.v[to] + at, 4);
    sum = at < bytes ? dot(sum, before.v[a] + at, b + at, saturate) : 0;
    memcpy(expected.v[to] + at, &sum, 4);
  }
  if (memcmp(&expected, &after, sizeof after) == 0) return 0;
  printf("%s: wrong\n", text);
  return 1;
}

#define REGISTERS(name, size, bits, to, a, b, saturate)                                          \
  EXECUTE("%{vex%} " name " %%" size "mm" #b ", %%" size "mm" #a ", %%" size "mm" #to);             \
  wrong += check(name " " size "mm" #to ", " #a ", " #b, to, a, before.v[b], bits / 8, saturate);

#define SOURCE(name, size, bits, to, a, address, from, saturate)                                 \
  EXECUTE("%{vex%} " name " " address ", %%" size "mm" #a ", %%" size "mm" #to);                    \
  wrong += check(name " " address, to, a, from, bits / 8, saturate);

#define ALL_REGISTERS(name, size, bits, saturate)      \
  REGISTERS(name, size, bits, 0, 3, 11, saturate)      \
  REGISTERS(name, size, bits, 1, 10, 0, saturate)      \
  REGISTERS(name, size, bits, 2, 1, 5, saturate)       \
  REGISTERS(name, size, bits, 3, 8, 10, saturate)      \
  REGISTERS(name, size, bits, 4, 15, 15, saturate)     \
  REGISTERS(name, size, bits, 5, 6, 4, saturate)       \
  REGISTERS(name, size, bits, 6, 13, 9, saturate)      \
  REGISTERS(name, size, bits, 7, 4, 14, saturate)      \
  REGISTERS(name, size, bits, 8, 11, 3, saturate)      \
  REGISTERS(name, size, bits, 9, 2, 8, saturate)       \
  REGISTERS(name, size, bits, 10, 9, 13, saturate)     \
  REGISTERS(name, size, bits, 11, 0, 2, saturate)      \
  REGISTERS(name, size, bits, 12, 7, 7, saturate)      \
  REGISTERS(name, size, bits, 13, 14, 12, saturate)    \
  REGISTERS(name, size, bits, 14, 5, 1, saturate)      \
  REGISTERS(name, size, bits, 15, 12, 6, saturate)     \
  REGISTERS(name, size, bits, 9, 9, 1, saturate)       \
  REGISTERS(name, size, bits, 2, 12, 2, saturate)

#define MIDDLE (around + 4096)
#define ALL_SOURCES(name, size, bits, saturate)                                                   \
  SOURCE(name, size, bits, 1, 14, "(%[base])", MIDDLE, saturate)                                  \
  SOURCE(name, size, bits, 9, 3, "(%%r12)", MIDDLE, saturate)                                     \
  SOURCE(name, size, bits, 12, 5, "(%%r13)", MIDDLE, saturate)                                    \
  SOURCE(name, size, bits, 0, 9, "-96(%%r13)", MIDDLE - 96, saturate)                             \
  SOURCE(name, size, bits, 7, 8, "100(%[base])", MIDDLE + 100, saturate)                          \
  SOURCE(name, size, bits, 4, 4, "-2000(%%r12)", MIDDLE - 2000, saturate)                         \
  SOURCE(name, size, bits, 3, 2, "(%[base], %[index])", MIDDLE + 64, saturate)                    \
  SOURCE(name, size, bits, 5, 1, "-8(%%r13, %[index], 2)", MIDDLE + 120, saturate)                \
  SOURCE(name, size, bits, 15, 0, "1000(%[base], %[index], 8)", MIDDLE + 1512, saturate)          \
  SOURCE(name, size, bits, 6, 6, "-64(%[index], %%r12)", MIDDLE, saturate)                        \
  SOURCE(name, size, bits, 8, 7, "check_vectors_fixed(%%rip)", check_vectors_fixed, saturate)

// A result is 256 bits wide, and what the processor has above them becomes zero; other registers keep it.
static int check_zeroed_above(void) {
  uint8_t zmm[64], target[64], neighbour[64], above_sixteen[64];
  // Nothing in this file is compiled to use register 19.
  random_bytes(zmm, sizeof zmm);
  __asm__ volatile(
      "vmovdqu64 (%0), %%zmm3\n\tvmovdqu64 (%0), %%zmm4\n\tvmovdqu64 (%0), %%zmm19\n\t"
      "%{vex%} vpdpbusd %%ymm4, %%ymm4, %%ymm3\n\t"
      "vmovdqu64 %%zmm3, (%1)\n\tvmovdqu64 %%zmm4, (%2)\n\tvmovdqu64 %%zmm19, (%3)"
      :
      : "r"(zmm), "r"(target), "r"(neighbour), "r"(above_sixteen)
      : "memory", "xmm3", "xmm4");
  const uint8_t zeros[32] = {0};
  const int wrong = memcmp(target + 32, zeros, 32) || memcmp(neighbour, zmm, 64) ||
                    memcmp(above_sixteen, zmm, 64);
  if (wrong) printf("vpdpbusd: the bits above 256 are wrong\n");
  return wrong;
}

// The same instruction with the prefix of AVX-512, which this processor may have.
static int check_against_avx512(void) {
  for (int32_t round = 0; round < 1000; round++) {
    uint8_t a[32], b[32], sums[32], evex[32], vex[32];
    random_bytes(a, sizeof a);
    random_bytes(b, sizeof b);
    random_bytes(sums, sizeof sums);
    __asm__ volatile(
        "vmovdqu (%0), %%ymm1\n\tvmovdqu (%1), %%ymm2\n\tvmovdqu (%2), %%ymm3\n\tvmovdqa %%ymm3, %%ymm4\n\t"
        "%{vex%} vpdpbusd %%ymm2, %%ymm1, %%ymm3\n\t%{evex%} vpdpbusd %%ymm2, %%ymm1, %%ymm4\n\t"
        "vmovdqu %%ymm3, (%3)\n\tvmovdqu %%ymm4, (%4)"
        :
        : "r"(a), "r"(b), "r"(sums), "r"(vex), "r"(evex)
        : "memory", "xmm1", "xmm2", "xmm3", "xmm4");
    if (memcmp(vex, evex, sizeof vex) != 0) {
      printf("vpdpbusd: not as with the prefix of AVX-512\n");
      return 1;
    }
  }
  return 0;
}

static int has_avx512vnni(void) {
  int32_t count;
  const variant *variants = cpu_variants(&count);
  for (int32_t i = 0; i < count; i++) {
    if (strcmp(variants[i].table->isa, "x86-avx512vnni") == 0) return !variants[i].missing;
  }
  return 0;
}

int check_vectors(void) {
  int wrong = 0;
  for (int32_t round = 0; round < 20; round++) {
    ALL_REGISTERS("vpdpbusd", "y", 256, 0)
    ALL_REGISTERS("vpdpbusd", "x", 128, 0)
    ALL_REGISTERS("vpdpbusds", "y", 256, 1)
    ALL_SOURCES("vpdpbusd", "y", 256, 0)
    ALL_SOURCES("vpdpbusds", "x", 128, 1)
  }
  return has_avx512vnni() ? wrong + check_zeroed_above() + check_against_avx512() : wrong;
}
