#define VARIANT x86_avxvnni
#define VARIANT_NAME "x86-avxvnni"
#include "../kernel.h"
#include "../vec.h"
#include "../../dense-matmul/x86-avxvnni.c"
#include "../../head-matmul/x86-avxvnni.c"
#include "../../ternary-matmul/x86-avxvnni.c"
#include "../variant.h"
