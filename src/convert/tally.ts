/**
 * What is gathered for the report while tensors pass by.
 */
import type { LossMeter } from '../formats/loss-meter.ts'
import type { TernaryTensor } from '../formats/model-file.ts'
import type { ConversionLoss, ConversionReport, TernarySummary } from './conversion.ts'
import type { NamedTensor } from './named-tensors.ts'

type KindCounts = Omit<TernarySummary, 'kind' | 'zeroShare'> & { readonly zeros: number }

/** Counts what was written and lost, tensor by tensor. */
export class ConversionTally {
  readonly #types = new Map<string, { tensors: number; bytes: number }>()
  readonly #kinds = new Map<string, KindCounts>()
  readonly #losses: ConversionLoss[] = []
  readonly #quantizationErrors: number[] = []

  /** A tensor of the result. */
  wrote(type: string, bytes: number): void {
    const sum = this.#types.get(type) ?? { tensors: 0, bytes: 0 }
    this.#types.set(type, { tensors: sum.tensors + 1, bytes: sum.bytes + bytes })
  }

  /**
   * A ternary tensor whose codes have been read.
   *
   * @param stored the scale that a reader of the result will find
   */
  async ternary(
    entry: NamedTensor,
    opened: TernaryTensor,
    { zeros, stored, to }: { zeros: number; stored: number; to: string },
  ): Promise<void> {
    const kind = /^blk\.\d+\.(.+)\.weight$/.exec(entry.name)?.[1] ?? entry.name
    const counts = this.#kinds.get(kind)
    this.#kinds.set(kind, {
      tensors: (counts?.tensors ?? 0) + 1,
      weights: (counts?.weights ?? 0) + opened.rows * opened.cols,
      zeros: (counts?.zeros ?? 0) + zeros,
      scaleMin: Math.min(counts?.scaleMin ?? Number.POSITIVE_INFINITY, stored),
      scaleMax: Math.max(counts?.scaleMax ?? 0, stored),
    })
    if (!opened.lossless) this.#quantizationErrors.push((await opened.roundingError?.()) ?? 0)
    if (stored === opened.scale) return
    const change = Math.abs(stored - opened.scale)
    this.#losses.push({
      tensor: entry.name,
      from: opened.origin,
      to,
      relativeError: change / opened.scale,
      // Every weight that is not 0 moves by the scale's change.
      rmsError: change * Math.sqrt(1 - zeros / (opened.rows * opened.cols)),
      largestError: change,
    })
  }

  dense({ name, tensor: { type } }: NamedTensor, to: string, loss: LossMeter): void {
    const { relativeError, rmsError, largestError } = loss
    if (relativeError === 0) return
    this.#losses.push({ tensor: name, from: type, to, relativeError, rmsError, largestError })
  }

  report(
    leftOut: readonly string[],
    named: readonly NamedTensor[],
    result: Pick<ConversionReport, 'format' | 'architecture' | 'bytesOut'>,
  ): ConversionReport {
    const kinds = [...this.#kinds.values()]
    const sum = (count: (kind: KindCounts) => number) =>
      kinds.reduce((total, kind) => total + count(kind), 0)
    const weights = sum((kind) => kind.weights)
    const errors = this.#quantizationErrors
    return {
      ...result,
      tensors: named.length,
      ternaryTensors: sum((kind) => kind.tensors),
      ternaryWeights: weights,
      bytesIn: named.reduce((total, { tensor }) => total + tensor.byteLength, 0),
      zeroShare: sum((kind) => kind.zeros) / weights,
      scaleMin: Math.min(...kinds.map((kind) => kind.scaleMin)),
      scaleMax: Math.max(...kinds.map((kind) => kind.scaleMax)),
      types: [...this.#types].map(([type, counts]) => ({ type, ...counts })),
      kinds: [...this.#kinds].map(([kind, { zeros, ...counts }]): TernarySummary => {
        return { kind, ...counts, zeroShare: zeros / counts.weights }
      }),
      quantizedTensors: errors.length,
      quantization:
        errors.length === 0
          ? undefined
          : {
              tensors: errors.length,
              meanError: errors.reduce((total, error) => total + error, 0) / errors.length,
              largestError: Math.max(...errors),
            },
      losses: this.#losses,
      leftOut,
    }
  }
}
