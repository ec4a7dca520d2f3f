/** What is trained, and how its steps are cut. */
import { isWhole } from '../checks.ts'
import { UsageError } from '../errors.ts'
import type { ModelConfig } from '../model/config/config.ts'
import type { LowRank } from './low-rank-plan.ts'

/** How the matrices of a layer are quantised in training: ternary, binary, or not at all. */
export const QUANT_MODES = ['b158', 'b1', 'none'] as const
export type QuantMode = (typeof QUANT_MODES)[number]

/** What of a layer is computed again in the backward pass: its cheap parts, or all but its input. */
export const RECOMPUTE_MODES = ['none', 'layer'] as const
export type RecomputeMode = (typeof RECOMPUTE_MODES)[number]

/** How products' operands may be rounded. */
export const PRECISIONS = ['f32', 'f16'] as const
export type Precision = (typeof PRECISIONS)[number]

/** What takes the steps of the layers' matrices; all else is AdamW's. */
export const OPTIMIZERS = ['adamw', 'muon'] as const
export type OptimizerName = (typeof OPTIMIZERS)[number]

export interface TrainingShape {
  /** Its `linear` must be that of `quant`. */
  readonly model: ModelConfig
  readonly quant: QuantMode
  /** Sequences in a pass. */
  readonly batch: number
  /** Tokens of a sequence. */
  readonly length: number
  readonly recompute: RecomputeMode
  /** Of products' operands where a GPU has matrices of halves. Unset: f32. */
  readonly precision?: Precision | undefined
  /** Unset: adamw. */
  readonly optimizer?: OptimizerName | undefined
  /** Adapters that are learnt in place of the model, whose matrices stay the codes that they are. */
  readonly lora?: LowRank | undefined
  /** Steps in which the quantisers' effect grows from nothing to the whole. Unset: none. */
  readonly quantizationWarmup?: number | undefined
  /** Of a mixture: what the loss that keeps experts evenly used counts. Unset: 0.01. */
  readonly balance?: number | undefined
}

/** As in Switch Transformers and Mixtral. */
export const BALANCE = 0.01

export function balanceOf({ balance = BALANCE }: TrainingShape): number {
  return balance
}

/**
 * What losses are multiplied by, and gradients with them, until a step is taken: the least of what halves tell
 * from 0 is 6e-8, and gradients are means over all tokens of a step. A power of two, so that only exponents change.
 */
export function lossScaleOf(shape: TrainingShape): number {
  return shape.precision === 'f16' ? 2 ** (5 + Math.ceil(Math.log2(rowsOf(shape)))) : 1
}

/** Tokens of a pass. */
export function rowsOf({ batch, length }: TrainingShape): number {
  return batch * length
}

/** Matrices lie in tiles of 16 rows and columns, one below the other. */
const UNIT = 16

/**
 * The share of the quantisers' effect in a step, counted from 0: it grows in a straight line, as in "Fine-tuning LLMs
 * to 1.58bit" (Hugging Face, 2024), where lambda is min(step / 1000, 1).
 */
export function quantizerShare({ quantizationWarmup = 0 }: TrainingShape, step: number): number {
  return step < quantizationWarmup ? step / quantizationWarmup : 1
}

/** @throws UsageError naming what the trainer has no graph for, or a size that it cannot lay out */
export function checkShape(shape: TrainingShape): void {
  const { model, quant, batch, length, quantizationWarmup } = shape
  const { dim, ffnDim, nHeads, nKvHeads, headDim, contextLength } = model
  const sizes = { dim, ffnDim, queryDim: nHeads * headDim, keyDim: nKvHeads * headDim }
  for (const [name, size] of Object.entries(sizes)) {
    if (isWhole(size, 1) && size % UNIT === 0) continue
    throw new UsageError(`Expected ${name} to be a multiple of ${UNIT} for training, got ${size}.`)
  }
  if (headDim > 128 || headDim % 2 !== 0) {
    throw new UsageError(
      `Expected headDim to be even and at most 128 for training, got ${headDim}.`,
    )
  }
  if (nHeads % nKvHeads !== 0) {
    throw new UsageError(
      `Expected nHeads to be a multiple of nKvHeads, got ${nHeads} and ${nKvHeads}.`,
    )
  }
  if (length > contextLength || length < 2) {
    throw new UsageError(
      `Expected sequences of 2 to ${contextLength} tokens, the model's context, got ${length}.`,
    )
  }
  if (!isWhole(batch, 1)) throw new UsageError(`Expected a batch of at least 1, got ${batch}.`)
  if ((model.linear === 'dense') !== (quant === 'none')) {
    throw new UsageError(
      `Expected ${quant === 'none' ? 'dense' : 'ternary'} matrices for ${quant}.`,
    )
  }
  if (model.experts && quant === 'none') {
    throw new UsageError('Expected ternary or binary weights (--quant) for a mixture of experts.')
  }
  if (quantizationWarmup !== undefined && (quant === 'none' || model.experts)) {
    throw new UsageError(
      'Expected ternary or binary weights without experts where quantisers come in step by step ' +
        `(--quantization-warmup), got ${quant === 'none' ? 'none' : 'a mixture of experts'}.`,
    )
  }
  checkAdapters(shape)
  const { inputNorms, headNorms, postNorms, shiftedNorms, localAttention, ropeScaling } = model
  const others = { inputNorms, headNorms, postNorms, shiftedNorms, localAttention, ropeScaling }
  const unknown = Object.entries(others).find(([, value]) => value !== undefined && value !== false)
  if (unknown || (model.embeddingFactor ?? 1) !== 1) {
    throw new UsageError(
      `Expected a plain BitNet or LLaMA body, got one with ${unknown?.[0] ?? 'embeddingFactor'}, which ` +
        'the trainer has no gradient for.',
    )
  }
}

/** @throws UsageError naming what adapters do not go together with */
function checkAdapters(shape: TrainingShape): void {
  const { lora, quant, model, optimizer, quantizationWarmup } = shape
  if (lora === undefined) return
  const others = {
    'quant none': quant === 'none',
    experts: model.experts !== undefined,
    muon: optimizer === 'muon',
    'quantization-warmup': quantizationWarmup !== undefined,
  }
  const found = Object.entries(others).find(([, holds]) => holds)
  if (found === undefined) return
  throw new UsageError(
    `Expected adapters (--lora) beside the ternary matrices of a model without experts, with AdamW, got ${found[0]}.`,
  )
}
