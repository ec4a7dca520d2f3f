#define VARIANT arm_neon
#define VARIANT_NAME "arm-neon"
#include "../kernel.h"
#include "../vec.h"
#include "../../src/kernels/dense-matmul/arm-neon.c"
#include "../../src/kernels/head-matmul/arm-neon.c"
#include "../../src/kernels/ternary-matmul/arm-neon.c"
#include "../variant.h"
