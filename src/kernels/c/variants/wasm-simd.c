#define VARIANT wasm
#define VARIANT_NAME "wasm-simd"
#include "../kernel.h"
#include "../vec.h"
#include "../../dense-matmul/wasm-simd.c"
#include "../../head-matmul/wasm-simd.c"
#include "../../ternary-matmul/wasm-simd.c"
#include "../variant.h"
