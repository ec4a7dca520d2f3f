#define VARIANT wasm
#define VARIANT_NAME "wasm-relaxed-simd"
#include "../kernel.h"
#include "../vec.h"
#include "../../dense-matmul/wasm-simd.c"
#include "../../head-matmul/wasm-relaxed-simd.c"
#include "../../ternary-matmul/wasm-relaxed-simd.c"
#include "../variant.h"
