// The body of a variant: every operation, compiled for the instruction set of the including file.
// Before it come VARIANT (a C name), VARIANT_NAME (a string) and the integer products, which have a file
// per instruction set.
#include "vec.h"
// Each operation's vector.c.
#include "operation-sources.h"

#define JOIN_(a, b) a##b
#define JOIN(a, b) JOIN_(a, b)

// An operation's functions take its own command; what calls them knows the beginning of all of them.
#define OPERATION(name, ...)                                                                       \
  static work_plan name##_plan_any(const command *c, int32_t phase, int32_t threads) {             \
    return name##_plan((const name##_command *)c, phase, threads);                                 \
  }                                                                                                \
  static void name##_run_any(const command *c, int32_t phase, int32_t first, int32_t last) {       \
    name##_run((const name##_command *)c, phase, first, last);                                     \
  }
EACH_OPERATION(OPERATION)
#undef OPERATION

#define OPERATION(name, ...) {name##_phases, name##_plan_any, name##_run_any},
const kernel_table JOIN(kernels_, VARIANT) = {VARIANT_NAME, {EACH_OPERATION(OPERATION)}};
#undef OPERATION
