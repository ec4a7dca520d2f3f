#define VARIANT x86_avx512vnni
#define VARIANT_NAME "x86-avx512vnni"
#include "../kernel.h"
#include "../vec.h"
#include "../../src/kernels/dense-matmul/x86-avx512vnni.c"
#include "../../src/kernels/head-matmul/x86-avx512vnni.c"
#include "../../src/kernels/ternary-matmul/x86-avx512vnni.c"
#include "../variant.h"
