/**
 * What the ternary weights of a run are, and how many of them change: counted where they lie, so that a look reads
 * three numbers a matrix.
 */
import type { Program } from '../backends/backend.ts'
import { COUNTS } from '../kernels/count-codes/reference.ts'
import { WORD } from '../kernels/operand-kinds.ts'
import { type DeviceBuffer, SLICE_ALIGNMENT, sliceOf } from '../kernels/slice.ts'
import type { TrainingMemory } from './memory.ts'

/** Shares of a layer's ternary weights; their sum is 1. */
export interface CodeShares {
  readonly minus: number
  readonly zero: number
  readonly plus: number
}

export interface CodesSeen {
  /** From the first layer on. */
  readonly layers: readonly CodeShares[]
  /** The share of all ternary weights that are not what they were at the last look; undefined at the first. */
  readonly flipped: number | undefined
}

export class CodeLook {
  readonly #memory: TrainingMemory
  readonly #counts: DeviceBuffer
  readonly #program: Program
  #hasSeen = false

  private constructor(memory: TrainingMemory, counts: DeviceBuffer, program: Program) {
    this.#memory = memory
    this.#counts = counts
    this.#program = program
  }

  /** @returns undefined for a model without ternary weights */
  static async open(memory: TrainingMemory): Promise<CodeLook | undefined> {
    const { owner, layers } = memory
    const matrices = layers.flatMap(({ linears }) =>
      Object.values(linears).flatMap(({ codes }) => codes ?? []),
    )
    if (matrices.length === 0) return undefined
    const counts = owner.allocate(matrices.length * SLICE_ALIGNMENT, 'counts of codes')
    const commands = matrices.map(({ rows, cols, data }, i) => {
      const before = owner.allocate(data.byteLength, 'codes of the last look')
      const out = sliceOf(counts, i * SLICE_ALIGNMENT, COUNTS * WORD)
      return { op: 'count-codes', rows, cols, codes: data, before, out } as const
    })
    await owner.backend.ready()
    return new CodeLook(memory, counts, await owner.backend.record(commands))
  }

  /** Counts the codes as they are. */
  async look(): Promise<CodesSeen> {
    const { owner, layers } = this.#memory
    owner.backend.submit(this.#program)
    const bytes = await owner.backend.read(this.#counts)
    const counts = new Int32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / WORD)
    let [at, flips, all] = [0, 0, 0]
    const shares = layers.map(({ linears }): CodeShares => {
      let [minus, plus, total] = [0, 0, 0]
      for (const { codes, rows, cols } of Object.values(linears)) {
        if (codes === undefined) continue
        minus += counts[at]
        plus += counts[at + 1]
        flips += counts[at + 2]
        total += rows * cols
        at += SLICE_ALIGNMENT / WORD
      }
      all += total
      return { minus: minus / total, zero: (total - minus - plus) / total, plus: plus / total }
    })
    const flipped = this.#hasSeen ? flips / all : undefined
    this.#hasSeen = true
    return { layers: shares, flipped }
  }

  dispose(): void {
    this.#program.dispose()
  }
}
