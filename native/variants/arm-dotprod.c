#define VARIANT arm_dotprod
#define VARIANT_NAME "arm-dotprod"
#include "../kernel.h"
#include "../vec.h"
#include "../../src/kernels/dense-matmul/arm-dotprod.c"
#include "../../src/kernels/head-matmul/arm-dotprod.c"
#include "../../src/kernels/ternary-matmul/arm-dotprod.c"
#include "../variant.h"
