#define VARIANT x86_avx2
#define VARIANT_NAME "x86-avx2"
#include "../kernel.h"
#include "../vec.h"
#include "../../src/kernels/dense-matmul/x86-avx2.c"
#include "../../src/kernels/head-matmul/x86-avx2.c"
#include "../../src/kernels/ternary-matmul/x86-avx2.c"
#include "../variant.h"
