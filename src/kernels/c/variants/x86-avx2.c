#define VARIANT x86_avx2
#define VARIANT_NAME "x86-avx2"
#include "../kernel.h"
#include "../vec.h"
#include "../../dense-matmul/x86-avx2.c"
#include "../../head-matmul/x86-avx2.c"
#include "../../ternary-matmul/x86-avx2.c"
#include "../variant.h"
