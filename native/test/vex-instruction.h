// Takes an x86 instruction with a VEX prefix apart.
#ifndef BITNET_VEX_INSTRUCTION_H
#define BITNET_VEX_INSTRUCTION_H

#include <stdint.h>
#include <ucontext.h>

// The last bits of the prefix say which of four instructions an opcode is.
enum { PREFIX_NONE, PREFIX_66, PREFIX_F3, PREFIX_F2 };

// `reg`, `second` (VEX.vvvv) and `rm` are numbers of registers; `rm` only where nothing is `in_memory`.
typedef struct {
  uint8_t opcode, prefix, bytes_per_register, in_memory, has_sib;
  uint8_t reg, second, rm;
  uint8_t *address;  // without the index
  int64_t index;     // scaled
  const uint8_t *end;
} decoded;

// Decodes the instruction at `at`, with the general registers of `context`. Returns 0 if it is none with a
// prefix of three bytes in the second map (0F 38) with W 0.
int decode_vex(decoded *d, const ucontext_t *context, const uint8_t *at);

#endif
