// See emulate-instructions.h. A handler of SIGILL decodes the instruction that the processor does not know,
// changes the registers that the kernel saved and goes on behind it.
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "emulate-instructions.h"

#include <cpuid.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "emulate-tiles.h"
#include "vex-instruction.h"

// As native/cpu.c names them.
static const char *const EMULATED[] = {"AVX-VNNI", "AMX-INT8", "AMX registers in the operating system",
                                       "permission to use AMX registers"};

typedef struct {
  const char *name;
  uint8_t opcode, prefix, in_memory;
  atomic_long count;
} instruction;

enum {
  VPDPBUSD,
  VPDPBUSDS,
  VPDPBUSD_MEMORY,
  VPDPBUSDS_MEMORY,
  LDTILECFG,
  STTILECFG,
  TILERELEASE,
  TILEZERO,
  TILELOADD,
  TILELOADDT1,
  TILESTORED,
  TDPBUUD,
  TDPBUSD,
  TDPBSUD,
  TDPBSSD,
  INSTRUCTIONS
};

static instruction instructions[INSTRUCTIONS] = {
    [VPDPBUSD] = {"vpdpbusd", 0x50, PREFIX_66, 0, 0},
    [VPDPBUSDS] = {"vpdpbusds", 0x51, PREFIX_66, 0, 0},
    [VPDPBUSD_MEMORY] = {"vpdpbusd from memory", 0x50, PREFIX_66, 1, 0},
    [VPDPBUSDS_MEMORY] = {"vpdpbusds from memory", 0x51, PREFIX_66, 1, 0},
    [LDTILECFG] = {"ldtilecfg", 0x49, PREFIX_NONE, 1, 0},
    [STTILECFG] = {"sttilecfg", 0x49, PREFIX_66, 1, 0},
    [TILERELEASE] = {"tilerelease", 0x49, PREFIX_NONE, 0, 0},
    [TILEZERO] = {"tilezero", 0x49, PREFIX_F2, 0, 0},
    [TILELOADD] = {"tileloadd", 0x4b, PREFIX_F2, 1, 0},
    [TILELOADDT1] = {"tileloaddt1", 0x4b, PREFIX_66, 1, 0},
    [TILESTORED] = {"tilestored", 0x4b, PREFIX_F3, 1, 0},
    [TDPBUUD] = {"tdpbuud", 0x5e, PREFIX_NONE, 0, 0},
    [TDPBUSD] = {"tdpbusd", 0x5e, PREFIX_66, 0, 0},
    [TDPBSUD] = {"tdpbsud", 0x5e, PREFIX_F3, 0, 0},
    [TDPBSSD] = {"tdpbssd", 0x5e, PREFIX_F2, 0, 0},
};

static void end(const uint8_t *at, const char *why) {
  fprintf(stderr, "emulation: %s; the instruction's bytes:", why);
  for (int32_t i = 0; i < 10; i++) fprintf(stderr, " %02x", at[i]);
  fprintf(stderr, "\n");
  _exit(2);
}

// The registers as XSAVE has laid them out: a part whose bit is missing is all zeros and may hold anything.
enum { PART_SSE = 1, PART_AVX = 2, PART_ZMM_HIGH = 6 };
#define HEADER_AT 512
#define SOFTWARE_AT 464
#define SOFTWARE_MAGIC 0x46505853

static uint32_t part_at[] = {[PART_SSE] = 160, [PART_AVX] = 0, [PART_ZMM_HIGH] = 0};

static void find_part(uint32_t part) {
  uint32_t size, ecx, edx;
  __get_cpuid_count(13, part, &size, &part_at[part], &ecx, &edx);
}

static uint64_t saved_parts(const uint8_t *saved) {
  uint64_t parts;
  memcpy(&parts, saved + HEADER_AT, sizeof parts);
  return parts;
}

// Where the part of register `number` is, `bytes` of each of 16; the whole part is made valid.
static uint8_t *writable(uint8_t *saved, int32_t part, int32_t number, int32_t bytes) {
  uint64_t parts = saved_parts(saved);
  if (!(parts >> part & 1)) memset(saved + part_at[part], 0, 16 * (size_t)bytes);
  parts |= 1u << part;
  memcpy(saved + HEADER_AT, &parts, sizeof parts);
  return saved + part_at[part] + number * bytes;
}

static void read_vector(uint8_t *saved, int32_t number, uint8_t *to) {
  memcpy(to, writable(saved, PART_SSE, number, 16), 16);
  memcpy(to + 16, writable(saved, PART_AVX, number, 16), 16);
}

// A write with a VEX prefix sets what lies above it to zero.
static void write_vector(uint8_t *saved, int32_t number, const uint8_t *from, int32_t bytes) {
  memcpy(writable(saved, PART_SSE, number, 16), from, 16);
  uint8_t *high = writable(saved, PART_AVX, number, 16);
  memset(high, 0, 16);
  if (bytes == 32) memcpy(high, from + 16, 16);
  if (saved_parts(saved) >> PART_ZMM_HIGH & 1) memset(writable(saved, PART_ZMM_HIGH, number, 32), 0, 32);
}

static void dot_bytes(const decoded *d, uint8_t *saved, int saturate) {
  uint8_t a[32], b[32], sums[32];
  read_vector(saved, d->second, a);
  read_vector(saved, d->reg, sums);
  if (d->in_memory) {
    memcpy(b, d->address + d->index, d->bytes_per_register);
  } else {
    read_vector(saved, d->rm, b);
  }
  for (int32_t at = 0; at < d->bytes_per_register; at += 4) {
    int32_t sum;
    memcpy(&sum, sums + at, sizeof sum);
    int64_t total = sum;
    for (int32_t i = at; i < at + 4; i++) total += a[i] * (int8_t)b[i];
    if (saturate && total > INT32_MAX) total = INT32_MAX;
    if (saturate && total < INT32_MIN) total = INT32_MIN;
    memcpy(sums + at, &total, sizeof sum);
  }
  write_vector(saved, d->reg, sums, d->bytes_per_register);
}

static int32_t identify(decoded *d, const ucontext_t *context, const uint8_t *at) {
  const int is_vex = decode_vex(d, context, at);
  for (int32_t i = 0; is_vex && i < INSTRUCTIONS; i++) {
    const instruction *known = &instructions[i];
    if (known->opcode != d->opcode || known->prefix != d->prefix) continue;
    if (known->in_memory == d->in_memory) return i;
  }
  return INSTRUCTIONS;
}

// True if the fields that an AMX instruction does not use are as they must be.
static int is_valid_tile_form(int32_t which, const decoded *d) {
  const int is_dot = which >= TDPBUUD, has_tile = is_dot || which >= TILEZERO;
  const int has_sib = which >= TILELOADD && which <= TILESTORED;
  return d->bytes_per_register == 16 && d->reg < (has_tile ? TILES : 1) &&
         d->second < (is_dot ? TILES : 1) && (d->in_memory || d->rm < (is_dot ? TILES : 1)) &&
         (!has_sib || d->has_sib);
}

static const char *execute(int32_t which, const decoded *d, uint8_t *saved) {
  if (which >= LDTILECFG && !is_valid_tile_form(which, d)) return "#UD: an invalid form";
  switch (which) {
    case VPDPBUSD:
    case VPDPBUSD_MEMORY:
      dot_bytes(d, saved, 0);
      return NULL;
    case VPDPBUSDS:
    case VPDPBUSDS_MEMORY:
      dot_bytes(d, saved, 1);
      return NULL;
    case LDTILECFG:
      return tiles_configure(d->address + d->index);
    case STTILECFG:
      tiles_store_config(d->address + d->index);
      return NULL;
    case TILERELEASE:
      tiles_release();
      return NULL;
    case TILEZERO:
      return tile_zero(d->reg);
    case TILELOADD:
    case TILELOADDT1:
      return tile_load(d->reg, d->address, d->index);
    case TILESTORED:
      return tile_store(d->reg, d->address, d->index);
    default:
      return tile_dot(d->reg, d->rm, d->second, which == TDPBSUD || which == TDPBSSD,
                      which == TDPBUSD || which == TDPBSSD);
  }
}

static void on_illegal_instruction(int signal, siginfo_t *info, void *opaque) {
  (void)signal;
  (void)info;
  ucontext_t *context = opaque;
  const uint8_t *at = (const uint8_t *)context->uc_mcontext.gregs[REG_RIP];
  uint8_t *saved = (uint8_t *)context->uc_mcontext.fpregs;
  uint32_t magic;
  memcpy(&magic, saved + SOFTWARE_AT, sizeof magic);
  if (magic != SOFTWARE_MAGIC) end(at, "the kernel has saved no AVX registers");
  decoded d;
  int32_t which = identify(&d, context, at);
  if (which == INSTRUCTIONS) end(at, "no instruction that is emulated");
  // Neighbours come along: the signal takes longer than what is done here.
  for (; which != INSTRUCTIONS; which = identify(&d, context, at)) {
    const char *fault = execute(which, &d, saved);
    if (fault) end(at, fault);
    atomic_fetch_add_explicit(&instructions[which].count, 1, memory_order_relaxed);
    at = d.end;
  }
  context->uc_mcontext.gregs[REG_RIP] = (int64_t)at;
}

int emulates(const char *missing) {
  for (size_t i = 0; i < sizeof EMULATED / sizeof *EMULATED; i++) {
    if (strcmp(missing, EMULATED[i]) == 0) return 1;
  }
  return 0;
}

void emulate_instructions(void) {
  find_part(PART_AVX);
  find_part(PART_ZMM_HIGH);
  struct sigaction action = {.sa_sigaction = on_illegal_instruction, .sa_flags = SA_SIGINFO};
  sigaction(SIGILL, &action, NULL);
}

void print_emulated(void) {
  printf("emulated:");
  for (int32_t i = 0, others = 0; i < INSTRUCTIONS; i++) {
    if (instructions[i].count == 0) continue;
    printf("%s %ld %s", others++ ? "," : "", (long)instructions[i].count, instructions[i].name);
  }
  printf("\n");
}
