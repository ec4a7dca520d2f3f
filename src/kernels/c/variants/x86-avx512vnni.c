#define VARIANT x86_avx512vnni
#define VARIANT_NAME "x86-avx512vnni"
#include "../kernel.h"
#include "../vec.h"
#include "../../dense-matmul/x86-avx512vnni.c"
#include "../../head-draw/x86-avx512vnni.c"
#include "../../head-matmul/x86-avx512vnni.c"
#include "../../ternary-matmul/x86-avx512vnni.c"
#include "../variant.h"
