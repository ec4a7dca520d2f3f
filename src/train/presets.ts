/** Sizes to train, with the rates they are trained with. */
import { isWhole } from '../checks.ts'
import { UsageError } from '../errors.ts'
import { MAX_EXPERTS, MAX_TOP } from '../kernels/route/reference.ts'
import type { Experts, ModelConfig } from '../model/config/config.ts'
import { padToTile } from '../ternary/index.ts'
import { BALANCE, type QuantMode } from './shape.ts'

export const PRESET_NAMES = ['tiny', '6m', '58m', '125m', '700m', '1.3b', '3b', '3.9b'] as const
export type PresetName = (typeof PRESET_NAMES)[number]
export const DEFAULT_PRESET: PresetName = 'tiny'

export interface Preset {
  readonly dim: number
  readonly nLayers: number
  readonly nHeads: number
  readonly nKvHeads: number
  readonly ffnDim: number
  readonly contextLength: number
  /** Peaks of the two lines for quantised models. */
  readonly rates: readonly [first: number, second: number]
  /** Sequences of how many tokens in a pass. */
  readonly batch: number
  readonly length: number
}

/**
 * 700m to 3.9b are the shapes of the b1.58 papers with their rates, 125m is the smallest of the b1 paper with its
 * rate, and two thirds of that for the second peak; the smaller ones have what small ternary models were trained with elsewhere (b1.58
 * Reloaded, TriLM: 5e-4 to 4e-3).
 */
export const PRESETS: Readonly<Record<PresetName, Preset>> = {
  tiny: {
    ...{ dim: 96, nLayers: 3, nHeads: 3, nKvHeads: 3, ffnDim: 256, contextLength: 256 },
    ...{ rates: [4e-3, 2.7e-3], batch: 16, length: 128 },
  },
  '6m': {
    ...{ dim: 256, nLayers: 6, nHeads: 4, nKvHeads: 2, ffnDim: 768, contextLength: 1024 },
    ...{ rates: [3e-3, 2e-3], batch: 8, length: 256 },
  },
  '58m': {
    ...{ dim: 512, nLayers: 16, nHeads: 8, nKvHeads: 4, ffnDim: 1536, contextLength: 2048 },
    ...{ rates: [2.4e-3, 1.6e-3], batch: 4, length: 1024 },
  },
  '125m': {
    ...{ dim: 768, nLayers: 12, nHeads: 12, nKvHeads: 12, ffnDim: 2048, contextLength: 2048 },
    ...{ rates: [2.4e-3, 1.6e-3], batch: 4, length: 1024 },
  },
  '700m': {
    ...{ dim: 1536, nLayers: 24, nHeads: 24, nKvHeads: 24, ffnDim: 4096, contextLength: 2048 },
    ...{ rates: [1.5e-3, 1e-3], batch: 1, length: 2048 },
  },
  '1.3b': {
    ...{ dim: 2048, nLayers: 24, nHeads: 32, nKvHeads: 32, ffnDim: 5472, contextLength: 2048 },
    ...{ rates: [1.2e-3, 8e-4], batch: 1, length: 2048 },
  },
  '3b': {
    ...{ dim: 3200, nLayers: 26, nHeads: 32, nKvHeads: 32, ffnDim: 8640, contextLength: 2048 },
    ...{ rates: [1.2e-3, 8e-4], batch: 1, length: 2048 },
  },
  '3.9b': {
    ...{ dim: 3200, nLayers: 26, nHeads: 32, nKvHeads: 32, ffnDim: 12800, contextLength: 2048 },
    ...{ rates: [1.2e-3, 8e-4], batch: 1, length: 2048 },
  },
}

/** Unquantised models diverge at these rates: theirs are a sixth, as in the papers' baselines. */
const DENSE_SHARE = 1 / 6

export function ratesOf(preset: Preset, quant: QuantMode): readonly [number, number] {
  const share = quant === 'none' ? DENSE_SHARE : 1
  return [preset.rates[0] * share, preset.rates[1] * share]
}

/** A mixture of experts in place of each feed-forward, and what the loss of uneven use counts. */
export interface MixtureSettings extends Experts {
  readonly balance: number
}

/**
 * "experts=8,top=2", and "balance=0.01" if that is to be another.
 *
 * @throws UsageError naming what is wrong
 */
export function mixtureNamed(text: string): MixtureSettings {
  const settings = { experts: Number.NaN, top: Number.NaN, balance: BALANCE }
  for (const entry of text.split(',')) {
    const [, key, value] = /^(experts|top|balance)=(\d+(?:\.\d+)?)$/.exec(entry.trim()) ?? []
    if (key === undefined) throw unknownMixture(text)
    settings[key as keyof typeof settings] = Number(value)
  }
  const { experts: count, top, balance } = settings
  const isRight = isWhole(count, 1, MAX_EXPERTS) && isWhole(top, 1, Math.min(count, MAX_TOP))
  if (!isRight) throw unknownMixture(text)
  return { count, top, balance }
}

function unknownMixture(text: string): UsageError {
  return new UsageError(
    `Expected a mixture such as "experts=8,top=2", with up to ${MAX_EXPERTS} experts and up to ${MAX_TOP} of ` +
      `them (no more than there are) for a token, or "experts=8,top=2,balance=0.02", got "${text}".`,
  )
}

/** The width of one expert where those that a token goes to are as wide as one feed-forward, in whole tiles. */
export function expertWidth(ffnDim: number, { top }: Experts): number {
  return padToTile(Math.ceil(ffnDim / top))
}

export const GATES = ['relu2', 'silu'] as const

/** What a preset's layers may have otherwise. Unset: sub-norms and relu2 with ternary matrices, neither without. */
export interface BodySettings {
  readonly subNorms?: boolean | undefined
  readonly gate?: (typeof GATES)[number] | undefined
}

/**
 * @param experts each as wide as makes all that a token goes to as wide as the preset, in whole tiles
 * @throws UsageError for a vocabulary that is none, and for a body that no config.json could name
 */
export function presetConfig(
  name: PresetName,
  quant: QuantMode,
  vocabSize: number,
  experts?: Experts,
  { subNorms = quant !== 'none', gate }: BodySettings = {},
): ModelConfig {
  if (vocabSize < 2) throw new UsageError(`Expected a vocabulary of tokens, got ${vocabSize}.`)
  if (subNorms && quant === 'none') {
    throw new UsageError(
      'Expected sub-norms with ternary or binary matrices: a config.json has no name for a float model with them.',
    )
  }
  const { dim, nLayers, nHeads, nKvHeads, ffnDim: width, contextLength } = PRESETS[name]
  const ffnDim = experts ? expertWidth(width, experts) : width
  const [plain, mixed] = subNorms ? ['bitnet', 'bitnet_moe'] : ['llama', 'mixtral']
  return {
    architecture: experts ? mixed : plain,
    name: `bitnet-ts ${name}`,
    ...{ dim, nLayers, nHeads, nKvHeads, ffnDim, contextLength, vocabSize },
    headDim: dim / nHeads,
    ropeTheta: 10_000,
    normEps: 1e-5,
    activation: gate ?? (quant === 'none' ? 'silu' : 'relu2'),
    subNorms,
    tiedHead: true,
    linear: quant === 'none' ? 'dense' : 'ternary',
    ...(experts && { experts: { count: experts.count, top: experts.top } }),
  }
}
