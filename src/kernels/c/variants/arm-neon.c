#define VARIANT arm_neon
#define VARIANT_NAME "arm-neon"
#include "../kernel.h"
#include "../vec.h"
#include "../../dense-matmul/arm-neon.c"
#include "../../head-matmul/arm-neon.c"
#include "../../ternary-matmul/arm-neon.c"
#include "../variant.h"
