// Executes AVX-VNNI's and AMX-INT8's instructions in software, on processors that raise SIGILL at them: what
// tests the variants that use them on any other x86 Linux machine. It says nothing about their speed.
#ifndef BITNET_EMULATE_INSTRUCTIONS_H
#define BITNET_EMULATE_INSTRUCTIONS_H

#if defined(__x86_64__) && defined(__linux__)

// True if what a variant lacks here (see cpu.h) is emulated.
int emulates(const char *missing);

// From now on. An instruction that is not emulated, or that would fault on a processor that has it, ends
// the process with a sentence on standard error and exit status 2.
void emulate_instructions(void);

// Prints how often each instruction was emulated, as one line.
void print_emulated(void);

// Tests the emulation itself against plain arithmetic, in many forms of each instruction, and prints what
// differs; on a processor that has the instructions it tests those. Returns the exit status. With `fault`
// it executes what must end the process: one of the names in check-emulation.c.
int check_emulation(const char *fault);

#else

static inline int emulates(const char *missing) {
  (void)missing;
  return 0;
}
static inline void emulate_instructions(void) {}
static inline void print_emulated(void) {}
static inline int check_emulation(const char *fault) {
  (void)fault;
  return 2;
}

#endif

#endif
