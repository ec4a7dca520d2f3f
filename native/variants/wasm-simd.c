#define VARIANT wasm
#define VARIANT_NAME "wasm-simd"
#include "../kernel.h"
#include "../vec.h"
#include "../../src/kernels/dense-matmul/wasm-simd.c"
#include "../../src/kernels/head-matmul/wasm-simd.c"
#include "../../src/kernels/ternary-matmul/wasm-simd.c"
#include "../variant.h"
