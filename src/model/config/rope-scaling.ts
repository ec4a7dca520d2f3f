/**
 * Frequencies of rotary position embedding for contexts longer than a model was first trained for.
 *
 *   linear   all frequencies are divided by the factor (Chen et al. 2023)
 *   yarn     those that turn seldom within the first context are, those that turn often are not, with
 *            a ramp between; keys and queries grow by a constant (Peng et al. 2023, section 3)
 *   llama3   as yarn, with a ramp over turns instead of pairs, and no constant (Llama 3.1)
 */

export type RopeScaling =
  | { readonly type: 'linear'; readonly factor: number }
  | {
      readonly type: 'yarn'
      readonly factor: number
      /** Positions of the first training. */
      readonly originalContext: number
      /** What rotated queries and keys are multiplied with, so that logits grow by its square. */
      readonly attentionFactor: number
      /** Pairs with more turns than this within the first context keep their frequency. */
      readonly betaFast: number
      /** Pairs with fewer are divided by the factor. */
      readonly betaSlow: number
      /** The ends of the ramp are whole pairs. */
      readonly truncate: boolean
    }
  | {
      readonly type: 'llama3'
      readonly factor: number
      readonly originalContext: number
      readonly lowFrequencyFactor: number
      readonly highFrequencyFactor: number
    }

export interface PairFrequencies {
  /** Radians that each pair turns from one position to the next, (headDim / 2). */
  readonly frequencies: Float64Array
  /** What cosines and sines are multiplied with. */
  readonly magnitude: number
}

/** theta^(-2i / headDim) for pair i, scaled. */
export function pairFrequencies(
  headDim: number,
  theta: number,
  scaling?: RopeScaling,
): PairFrequencies {
  const half = headDim / 2
  const frequencies = Float64Array.from({ length: half }, (_, i) => theta ** (-i / half))
  switch (scaling?.type) {
    case undefined:
      return { frequencies, magnitude: 1 }
    case 'linear':
      return { frequencies: frequencies.map((f) => f / scaling.factor), magnitude: 1 }
    case 'llama3': {
      const { factor, originalContext, lowFrequencyFactor: low, highFrequencyFactor } = scaling
      const width = highFrequencyFactor - low
      const scaled = frequencies.map((f) => {
        const turns = (originalContext * f) / (2 * Math.PI)
        return blend(f, factor, unit((turns - low) / width))
      })
      return { frequencies: scaled, magnitude: 1 }
    }
    case 'yarn': {
      const { factor, originalContext, betaFast, betaSlow, truncate } = scaling
      // The pair, as a fraction, that makes so many turns within the first context.
      const pairOf = (turns: number) =>
        (half * Math.log(originalContext / (turns * 2 * Math.PI))) / Math.log(theta)
      const [fast, slow] = [pairOf(betaFast), pairOf(betaSlow)]
      const from = Math.max(0, truncate ? Math.floor(fast) : fast)
      const to = Math.min(headDim - 1, truncate ? Math.ceil(slow) : slow)
      const width = Math.max(to - from, SMALLEST_RAMP)
      const scaled = frequencies.map((f, i) => blend(f, factor, 1 - unit((i - from) / width)))
      return { frequencies: scaled, magnitude: scaling.attentionFactor }
    }
  }
}

/** Of pairs; as published code has it where both ends of the ramp are one pair. */
const SMALLEST_RAMP = 0.001

/** How much YaRN lets queries and keys grow by itself. */
export function yarnAttentionFactor(factor: number, multiplier = 1): number {
  return factor <= 1 ? 1 : 0.1 * multiplier * Math.log(factor) + 1
}

/** Between f / factor and f, by the share that is kept. */
function blend(f: number, factor: number, kept: number): number {
  return (f / factor) * (1 - kept) + f * kept
}

function unit(x: number): number {
  return Math.max(0, Math.min(1, x))
}
