#define VARIANT wasm
#define VARIANT_NAME "wasm-relaxed-simd"
#include "../kernel.h"
#include "../vec.h"
#include "../../src/kernels/dense-matmul/wasm-simd.c"
#include "../../src/kernels/head-matmul/wasm-relaxed-simd.c"
#include "../../src/kernels/ternary-matmul/wasm-relaxed-simd.c"
#include "../variant.h"
