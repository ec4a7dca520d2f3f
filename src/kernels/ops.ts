/** Every operation, a line each: those of a decoder's pass in order, of loading, and of measuring. */
import { attention } from './attention/op.ts'
import type { Operation } from './define-op.ts'
import { denseMatmul } from './dense-matmul/op.ts'
import { embed } from './embed/op.ts'
import { gatedActivation } from './gated-activation/op.ts'
import { gatherRows } from './gather-rows/op.ts'
import { headMatmul } from './head-matmul/op.ts'
import { packDense } from './pack-dense/op.ts'
import { packTernary } from './pack-ternary/op.ts'
import { peakDot } from './peak-dot/op.ts'
import { quantize } from './quantize/op.ts'
import { readBytes } from './read-bytes/op.ts'
import { rmsNorm } from './rms-norm/op.ts'
import { ropeCache } from './rope-cache/op.ts'
import { ternaryMatmul } from './ternary-matmul/op.ts'
import { tokenScores } from './token-scores/op.ts'

/** The native side knows them by their places here. */
export const operations = [
  embed,
  rmsNorm,
  quantize,
  ternaryMatmul,
  denseMatmul,
  headMatmul,
  ropeCache,
  attention,
  gatedActivation,
  gatherRows,
  tokenScores,
  packTernary,
  packDense,
  readBytes,
  peakDot,
] as const

type CommandOf<O> = O extends Operation<infer C> ? C : never
export type Command = CommandOf<(typeof operations)[number]>
export type OpName = Command['op']
