/**
 * What LoRA (Hu et al. 2021, arXiv 2106.09685) learns: two thin matrices beside each matrix of the layers, which
 * itself stays as it is. Their names and shapes are those of PEFT.
 */
import { isWhole } from '../checks.ts'
import { UsageError } from '../errors.ts'
import type { ModelConfig } from '../model/config/config.ts'
import { type Part, partsOf, writtenName } from '../model/layers.ts'

export interface LowRank {
  /** Rows of A, columns of B. */
  readonly rank: number
  /** What B A is multiplied by, times the rank. */
  readonly alpha: number
}

/** A takes the input of a matrix down to the rank, B from there to its output. */
export type Factor = 'A' | 'B'

const MAX_RANK = 1024

/**
 * "rank=16,alpha=32"; without alpha twice the rank.
 *
 * @throws UsageError naming what is wrong
 */
export function lowRankNamed(text: string): LowRank {
  const [, rank, alpha] = /^rank=(\d+)(?:,\s*alpha=(\d+(?:\.\d+)?))?$/.exec(text.trim()) ?? []
  const own = { rank: Number(rank), alpha: alpha === undefined ? 2 * Number(rank) : Number(alpha) }
  if (isWhole(own.rank, 1, MAX_RANK) && own.alpha > 0) return own
  throw new UsageError(
    `Expected adapters such as "rank=16,alpha=32", of a rank of 1 to ${MAX_RANK} and an alpha above 0, got "${text}".`,
  )
}

/** What PEFT calls the scale. */
export function scaleOf({ rank, alpha }: LowRank): number {
  return alpha / rank
}

/** Both factors of every matrix of the layers. */
export function adapterParts(model: ModelConfig, { rank }: LowRank): (Part & { factor: Factor })[] {
  return linearParts(model).flatMap((part) => [
    { ...part, rows: rank, isRotated: false, factor: 'A' },
    { ...part, cols: rank, isRotated: false, factor: 'B' },
  ])
}

export function linearParts(model: ModelConfig): Part[] {
  return partsOf(model).filter(({ kind }) => kind === 'linear')
}

/** As PEFT writes it. */
export function adapterName(part: Part, factor: Factor, model: ModelConfig): string {
  const name = writtenName('safetensors', part, model).replace(/\.weight$/, '')
  return `base_model.model.${name}.lora_${factor}.weight`
}
