/** Every operation, a line each: those of a decoder's pass in order, of loading, of training, and of
 * measuring. */
import { adamw } from './adamw/op.ts'
import { adjustLogits } from './adjust-logits/op.ts'
import { attention } from './attention/op.ts'
import { axpy } from './axpy/op.ts'
import { blend } from './blend/op.ts'
import { causalAttention } from './causal-attention/op.ts'
import { causalAttentionBackward } from './causal-attention-backward/op.ts'
import { copyBlocks } from './copy-blocks/op.ts'
import { countCodes } from './count-codes/op.ts'
import { crossEntropy } from './cross-entropy/op.ts'
import type { Operation } from './define-op.ts'
import { denseMatmul } from './dense-matmul/op.ts'
import { dequantize } from './dequantize/op.ts'
import { embed } from './embed/op.ts'
import { expertMatmul } from './expert-matmul/op.ts'
import { expertMatmulBackward } from './expert-matmul-backward/op.ts'
import { expertSum } from './expert-sum/op.ts'
import { expertSumBackward } from './expert-sum-backward/op.ts'
import { gatedActivation } from './gated-activation/op.ts'
import { gatedActivationBackward } from './gated-activation-backward/op.ts'
import { gatedMatmul } from './gated-matmul/op.ts'
import { gatherRows } from './gather-rows/op.ts'
import { headDraw } from './head-draw/op.ts'
import { headMatmul } from './head-matmul/op.ts'
import { logProbs } from './log-probs/op.ts'
import { lookWeights } from './look-weights/op.ts'
import { matmul } from './matmul/op.ts'
import { nextStep } from './next-step/op.ts'
import { packDense } from './pack-dense/op.ts'
import { packTernary } from './pack-ternary/op.ts'
import { peakDot } from './peak-dot/op.ts'
import { quantize } from './quantize/op.ts'
import { quantizeWeights } from './quantize-weights/op.ts'
import { readBytes } from './read-bytes/op.ts'
import { rmsNorm } from './rms-norm/op.ts'
import { rmsNormBackward } from './rms-norm-backward/op.ts'
import { rope } from './rope/op.ts'
import { ropeCache } from './rope-cache/op.ts'
import { route } from './route/op.ts'
import { routeBackward } from './route-backward/op.ts'
import { sample } from './sample/op.ts'
import { scatterAdd } from './scatter-add/op.ts'
import { squareSum } from './square-sum/op.ts'
import { ternaryMatmul } from './ternary-matmul/op.ts'
import { tokenHistory } from './token-history/op.ts'
import { tokenScores } from './token-scores/op.ts'
import { unpackTernary } from './unpack-ternary/op.ts'

/** The native side knows them by their places here. */
export const operations = [
  embed,
  rmsNorm,
  quantize,
  ternaryMatmul,
  gatedMatmul,
  denseMatmul,
  headMatmul,
  ropeCache,
  attention,
  gatedActivation,
  route,
  expertMatmul,
  expertSum,
  gatherRows,
  tokenScores,
  tokenHistory,
  adjustLogits,
  sample,
  headDraw,
  logProbs,
  nextStep,
  copyBlocks,
  packTernary,
  packDense,
  lookWeights,
  matmul,
  quantizeWeights,
  unpackTernary,
  dequantize,
  rmsNormBackward,
  axpy,
  squareSum,
  gatedActivationBackward,
  crossEntropy,
  scatterAdd,
  adamw,
  rope,
  causalAttention,
  causalAttentionBackward,
  routeBackward,
  expertMatmulBackward,
  expertSumBackward,
  countCodes,
  blend,
  readBytes,
  peakDot,
] as const

type CommandOf<O> = O extends Operation<infer C> ? C : never
export type Command = CommandOf<(typeof operations)[number]>
export type OpName = Command['op']
