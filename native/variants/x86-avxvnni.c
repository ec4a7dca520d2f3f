#define VARIANT x86_avxvnni
#define VARIANT_NAME "x86-avxvnni"
#include "../kernel.h"
#include "../vec.h"
#include "../../src/kernels/dense-matmul/x86-avxvnni.c"
#include "../../src/kernels/head-matmul/x86-avxvnni.c"
#include "../../src/kernels/ternary-matmul/x86-avxvnni.c"
#include "../variant.h"
