#define VARIANT portable
#define VARIANT_NAME "portable"
#include "../kernel.h"
#include "../vec.h"
#include "../../src/kernels/dense-matmul/portable.c"
#include "../../src/kernels/head-matmul/portable.c"
#include "../../src/kernels/ternary-matmul/portable.c"
#include "../variant.h"
