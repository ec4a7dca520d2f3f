// The body of a variant: every operation, compiled for the instruction set of the including file.
// Before it come VARIANT (a C name), VARIANT_NAME (a string) and the integer products, which have a file
// per instruction set; a variant without a quick product of the 1.6-bit layout gets the plain one.
#include "../attention/vector.c"
#include "../dense-matmul/vector.c"
#include "../embed/vector.c"
#include "../gated-activation/vector.c"
#include "../gather-rows/vector.c"
#include "../head-matmul/vector.c"
#include "../pack-dense/vector.c"
#include "../pack-ternary/vector.c"
#include "../quantize/vector.c"
#include "../rms-norm/vector.c"
#include "../rope-cache/vector.c"
#include "../token-scores/vector.c"
#include "peak-dot.c"
#include "read-bytes.c"

#ifndef HAS_BASE3
#include "../ternary-matmul/base3.c"
#endif

#ifndef TERNARY_MATMUL_RUN
#define TERNARY_MATMUL_RUN ternary_matmul_run
#endif

static void ternary_matmul_any(const command *c, int32_t phase, int32_t first, int32_t last) {
  command part;
  if (c->i[6] > 0) {  // a part of the rows: weights, scales and output from its first stripe on
    const int32_t tile_cols = c->i[4] ? 20 : 16, tiles = (c->i[2] + tile_cols - 1) / tile_cols;
    part = *c;
    part.p[3] = (uint8_t *)c->p[3] + (size_t)c->i[6] / 16 * tiles * 64;
    part.p[4] = (float *)c->p[4] + c->i[6];
    part.p[5] = (float *)c->p[5] + c->i[6];
    c = &part;
  }
  if (c->i[4]) {
    ternary_matmul_base3(c, first, last);
  } else {
    TERNARY_MATMUL_RUN(c, phase, first, last);
  }
}

#define JOIN_(a, b) a##b
#define JOIN(a, b) JOIN_(a, b)

const kernel_table JOIN(kernels_, VARIANT) = {
    VARIANT_NAME,
    {
        [OP_EMBED] = {1, embed_plan, embed_run},
        [OP_GATHER_ROWS] = {1, gather_rows_plan, gather_rows_run},
        [OP_RMS_NORM] = {1, rms_norm_plan, rms_norm_run},
        [OP_QUANTIZE] = {1, quantize_plan, quantize_run},
        [OP_TERNARY_MATMUL] = {1, ternary_matmul_plan, ternary_matmul_any},
        [OP_DENSE_MATMUL] = {2, dense_matmul_plan, dense_matmul_run},
        [OP_HEAD_MATMUL] = {4, head_matmul_plan, head_matmul_run},
        [OP_ROPE_CACHE] = {1, rope_cache_plan, rope_cache_run},
        [OP_ATTENTION] = {2, attention_plan, attention_run},
        [OP_GATED_ACTIVATION] = {1, gated_activation_plan, gated_activation_run},
        [OP_TOKEN_SCORES] = {1, token_scores_plan, token_scores_run},
        [OP_PACK_TERNARY] = {1, pack_ternary_plan, pack_ternary_run},
        [OP_PACK_DENSE] = {1, pack_dense_plan, pack_dense_run},
        [OP_READ_BYTES] = {1, read_bytes_plan, read_bytes_run},
        [OP_PEAK_DOT] = {1, peak_dot_plan, peak_dot_run},
    },
};
