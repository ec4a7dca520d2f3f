#define VARIANT arm_dotprod
#define VARIANT_NAME "arm-dotprod"
#include "../kernel.h"
#include "../vec.h"
#include "../../dense-matmul/arm-dotprod.c"
#include "../../head-matmul/arm-dotprod.c"
#include "../../ternary-matmul/arm-dotprod.c"
#include "../variant.h"
