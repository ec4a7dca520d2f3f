// How loops are written so that engines compile them well: their compilers are quick, not clever. On x86
// they have sixteen registers, and they follow the order of the module's instructions.
#ifndef BITNET_WASM_SIMD_H
#define BITNET_WASM_SIMD_H

#include <wasm_simd128.h>

// add_exact of vec.h in four lanes: relaxed SIMD fuses where the processor does.
static inline __attribute__((always_inline)) v128_t add_exact_4(v128_t sum, v128_t a, v128_t b) {
#ifdef __wasm_relaxed_simd__
  return wasm_f32x4_relaxed_madd(a, b, sum);
#else
  return wasm_f32x4_add(sum, wasm_f32x4_mul(a, b));
#endif
}

// One 32-bit word in all lanes.
#define WORD(p) wasm_v128_load32_splat(p)
// Sums stay in registers only if no loop over them is left.
#define UNROLL _Pragma("clang loop unroll(full)")
// Loops over tiles are slower unrolled: the engine then runs out of registers.
#define ROLLED _Pragma("clang loop unroll(disable)")
// What the compiler must not look through: constants, which the engine would build again in every
// round of a loop, and bases, so that what is added to them stays in the load instruction.
#define AS_VALUE(v) __asm__("" : "+r"(v))
// Two values, or four, at once: what comes after them in the source stays after. Left alone, the
// compiler takes the quarters of a stripe one by one and holds all activations meanwhile, more than
// there are registers.
#define IN_ORDER(a, b) __asm__("" : "+r"(a), "+r"(b))
#define ALL_IN_ORDER(a, b, c, d) __asm__("" : "+r"(a), "+r"(b), "+r"(c), "+r"(d))
#define IN_ORDER_4(v) ALL_IN_ORDER((v)[0], (v)[1], (v)[2], (v)[3])

#endif
