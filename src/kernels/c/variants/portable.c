#define VARIANT portable
#define VARIANT_NAME "portable"
#include "../kernel.h"
#include "../vec.h"
#include "../../dense-matmul/portable.c"
#include "../../head-matmul/portable.c"
#include "../../ternary-matmul/portable.c"
#include "../variant.h"
