// See vex-instruction.h; the encoding is that of the Intel SDM, volume 2, chapter 2.
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "vex-instruction.h"

#include <string.h>

// By the number that an instruction gives a register.
static int64_t general_register(const ucontext_t *context, int32_t number) {
  static const int8_t order[16] = {REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP,
                                   REG_RSI, REG_RDI, REG_R8,  REG_R9,  REG_R10, REG_R11,
                                   REG_R12, REG_R13, REG_R14, REG_R15};
  return context->uc_mcontext.gregs[order[number]];
}

static int64_t displacement(const uint8_t *at, int32_t mod, int no_base) {
  int32_t wide;
  if (mod == 1) return (int8_t)*at;
  if (mod == 0 && !no_base) return 0;
  memcpy(&wide, at, sizeof wide);
  return wide;
}

// Decodes the memory operand behind the opcode: ModRM, SIB and displacement. `x` and `b` are the fourth
// bits of the index and of the base.
static void decode_address(decoded *d, const ucontext_t *context, const uint8_t *modrm, int32_t x,
                           int32_t b) {
  const int32_t mod = *modrm >> 6;
  const uint8_t *at = modrm + 1;
  int32_t base = *modrm & 7;
  d->has_sib = base == 4;
  if (d->has_sib) {
    const int32_t index = ((*at >> 3) & 7) | x;
    // What would be the stack pointer says that there is no index.
    if (index != 4) d->index = (int64_t)((uint64_t)general_register(context, index) << (*at >> 6));
    base = *at++ & 7;
  }
  const int no_base = mod == 0 && base == 5;
  const int64_t offset = displacement(at, mod, no_base);
  d->end = at + (mod == 1 ? 1 : mod == 2 || no_base ? 4 : 0);
  int64_t from = 0;
  if (!no_base) from = general_register(context, base | b);
  // Without SIB no base means relative to the next instruction.
  if (no_base && !d->has_sib) from = (int64_t)d->end;
  d->address = (uint8_t *)(from + offset);
}

int decode_vex(decoded *d, const ucontext_t *context, const uint8_t *at) {
  *d = (decoded){0};
  if (at[0] != 0xc4 || (at[1] & 0x1f) != 2 || at[2] & 0x80) return 0;
  // The fourth bits of registers, and the second source, are stored inverted.
  const uint8_t fourth = ~at[1], modrm = at[4];
  const int32_t r = fourth >> 4 & 8, x = fourth >> 3 & 8, b = fourth >> 2 & 8;
  d->prefix = at[2] & 3;
  d->bytes_per_register = at[2] & 4 ? 32 : 16;
  d->second = ~at[2] >> 3 & 15;
  d->opcode = at[3];
  d->reg = (modrm >> 3 & 7) | r;
  d->rm = (modrm & 7) | b;
  d->in_memory = modrm >> 6 != 3;
  d->end = at + 5;
  if (d->in_memory) decode_address(d, context, at + 4, x, b);
  return 1;
}
