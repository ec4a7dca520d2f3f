// See cpu.h.
#include "cpu.h"

#include <stddef.h>

extern const kernel_table kernels_portable;

#if defined(__x86_64__)
#include <cpuid.h>
#ifdef __linux__
#include <sys/syscall.h>
#include <unistd.h>
#endif

extern const kernel_table kernels_x86_amx;
extern const kernel_table kernels_x86_avx512vbmi;
extern const kernel_table kernels_x86_avx512vnni;
extern const kernel_table kernels_x86_avxvnni;
extern const kernel_table kernels_x86_avx2;

typedef struct {
  unsigned leaf1_ecx, leaf7_ebx, leaf7_ecx, leaf7_edx, leaf7_1_eax, xcr0;
} cpu_bits;

static cpu_bits read_cpu(void) {
  cpu_bits bits = {0};
  unsigned eax, ebx, ecx, edx;
  if (__get_cpuid(1, &eax, &ebx, &ecx, &edx)) bits.leaf1_ecx = ecx;
  if (__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx)) {
    bits.leaf7_ebx = ebx;
    bits.leaf7_ecx = ecx;
    bits.leaf7_edx = edx;
    // Leaf 7 says itself how many parts it has.
    if (eax > 0 && __get_cpuid_count(7, 1, &eax, &ebx, &ecx, &edx)) bits.leaf7_1_eax = eax;
  }
  if (bits.leaf1_ecx & bit_OSXSAVE) {
    unsigned high;
    __asm__("xgetbv" : "=a"(bits.xcr0), "=d"(high) : "c"(0));
  }
  return bits;
}

// The operating system must save the registers too, or using them faults.
#define XCR0_AVX 0x06
#define XCR0_AVX512 0xe6
#define XCR0_AMX 0x60000

static const char *missing_avx2(cpu_bits bits) {
  if ((bits.xcr0 & XCR0_AVX) != XCR0_AVX) return "AVX registers in the operating system";
  if (!(bits.leaf7_ebx & bit_AVX2)) return "AVX2";
  if (!(bits.leaf1_ecx & bit_F16C)) return "F16C";
  return NULL;
}

static const char *missing_avxvnni(cpu_bits bits) {
  const unsigned AVX_VNNI = 1u << 4;
  const char *below = missing_avx2(bits);
  if (below) return below;
  return bits.leaf7_1_eax & AVX_VNNI ? NULL : "AVX-VNNI";
}

static const char *missing_avx512(cpu_bits bits) {
  const char *below = missing_avx2(bits);
  if (below) return below;
  if ((bits.xcr0 & XCR0_AVX512) != XCR0_AVX512) return "AVX-512 registers in the operating system";
  if (!(bits.leaf7_ebx & bit_AVX512F)) return "AVX-512F";
  if (!(bits.leaf7_ebx & bit_AVX512BW)) return "AVX-512BW";
  if (!(bits.leaf7_ebx & bit_AVX512DQ)) return "AVX-512DQ";
  if (!(bits.leaf7_ebx & bit_AVX512VL)) return "AVX-512VL";
  if (!(bits.leaf7_ecx & bit_AVX512VNNI)) return "AVX-512 VNNI";
  return NULL;
}

static const char *missing_avx512vbmi(cpu_bits bits) {
  const char *below = missing_avx512(bits);
  if (below) return below;
  return bits.leaf7_ecx & bit_AVX512VBMI ? NULL : "AVX-512 VBMI";
}

// The tile registers are large, so a process on Linux must ask for them; its later threads have them too.
static int may_use_tiles(void) {
#ifdef __linux__
  const long ARCH_REQ_XCOMP_PERM = 0x1023, XFEATURE_XTILEDATA = 18;
  return syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA) == 0;
#else
  return 0;
#endif
}

static const char *missing_amx(cpu_bits bits) {
  const unsigned AMX_TILE = 1u << 24, AMX_INT8 = 1u << 25;
  const char *below = missing_avx512vbmi(bits);
  if (below) return below;
  if (!(bits.leaf7_edx & AMX_TILE) || !(bits.leaf7_edx & AMX_INT8)) return "AMX-INT8";
  if ((bits.xcr0 & XCR0_AMX) != XCR0_AMX) return "AMX registers in the operating system";
  return may_use_tiles() ? NULL : "permission to use AMX registers";
}

const variant *cpu_variants(int32_t *count) {
  static variant list[6];
  const cpu_bits bits = read_cpu();
  list[0] = (variant){&kernels_x86_amx, missing_amx(bits)};
  list[1] = (variant){&kernels_x86_avx512vbmi, missing_avx512vbmi(bits)};
  list[2] = (variant){&kernels_x86_avx512vnni, missing_avx512(bits)};
  list[3] = (variant){&kernels_x86_avxvnni, missing_avxvnni(bits)};
  list[4] = (variant){&kernels_x86_avx2, missing_avx2(bits)};
  list[5] = (variant){&kernels_portable, NULL};
  *count = 6;
  return list;
}

#elif defined(__aarch64__)

extern const kernel_table kernels_arm_dotprod;
extern const kernel_table kernels_arm_neon;

#if defined(__linux__)
#include <sys/auxv.h>

// Bit 20 of AT_HWCAP on arm64, a part of the kernel's interface.
static int has_dotprod(void) { return (getauxval(AT_HWCAP) >> 20) & 1; }

#elif defined(__APPLE__)
#include <sys/sysctl.h>

// Every Mac with an Arm processor has it; macOS 11 does not know the question.
static int has_dotprod(void) {
  int32_t answer = 1;
  size_t size = sizeof answer;
  sysctlbyname("hw.optional.arm.FEAT_DotProd", &answer, &size, NULL, 0);
  return answer;
}

#elif defined(_WIN32)
#define WIN32_LEAN_AND_MEAN
#include <windows.h>

// PF_ARM_V82_DP_INSTRUCTIONS_AVAILABLE, which older headers lack.
static int has_dotprod(void) { return IsProcessorFeaturePresent(43); }

#else
static int has_dotprod(void) { return 0; }
#endif

const variant *cpu_variants(int32_t *count) {
  static variant list[3];
  list[0] = (variant){&kernels_arm_dotprod, has_dotprod() ? NULL : "dot product instructions"};
  list[1] = (variant){&kernels_arm_neon, NULL};
  list[2] = (variant){&kernels_portable, NULL};
  *count = 3;
  return list;
}

#else

const variant *cpu_variants(int32_t *count) {
  static variant list[1];
  list[0] = (variant){&kernels_portable, NULL};
  *count = 1;
  return list;
}

#endif
