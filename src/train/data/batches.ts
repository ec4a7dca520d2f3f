/**
 * Which tokens each step learns from. A source is cut into windows, which come in a random order, all of them
 * before any comes again; sources are mixed by their weights. The last windows of each are held out. All of it
 * follows from the seed and from how many windows were taken of each source, which a checkpoint keeps.
 */
import { UsageError } from '../../errors.ts'
import { shuffledAt, uniformAt } from '../counted-random.ts'
import type { TrainingShape } from '../shape.ts'
import type { TrainingBatch } from '../trainer.ts'
import { idOf, isLearnt, type TokenSource } from './token-source.ts'

export interface WeightedSource {
  readonly source: TokenSource
  /** Its share of the windows, beside the others' weights. */
  readonly weight: number
  /** In the second half of the steps. Unset: the same. */
  readonly lateWeight?: number | undefined
}

/** Of each source's windows, and at most so many in a source. */
const HELD_OUT_SHARE = 0.01
const MAX_HELD_OUT = 64

/** How many windows were taken: of all sources, and of each. */
export interface BatchCursor {
  readonly taken: number
  readonly ofSource: readonly number[]
}

interface Windows {
  readonly source: TokenSource
  /** In both halves. */
  readonly weights: readonly [early: number, late: number]
  readonly learnt: number
  readonly heldOut: number
}

export class Batches {
  readonly #windows: readonly Windows[]
  readonly #shape: TrainingShape
  readonly #seed: number
  #taken = 0
  #ofSource: number[]

  /** @throws UsageError if nothing counts in a half of the steps, or a source has too few tokens for a window to learn from and one to hold out */
  constructor(sources: readonly WeightedSource[], shape: TrainingShape, seed: number) {
    this.#windows = sources.map(({ source, weight, lateWeight = weight }) => {
      const count = Math.floor((source.count - 1) / shape.length)
      const heldOut = Math.min(MAX_HELD_OUT, Math.max(1, Math.floor(count * HELD_OUT_SHARE)))
      if (count < 2) {
        throw new UsageError(
          `Expected at least ${2 * shape.length + 1} tokens in ${source.name}, got ${source.count}. Bring ` +
            'more text, or use shorter sequences.',
        )
      }
      return { source, weights: [weight, lateWeight], learnt: count - heldOut, heldOut }
    })
    for (const [i, half] of ['first', 'second'].entries()) {
      if (this.#windows.some(({ weights }) => weights[i] > 0)) continue
      throw new UsageError(
        `Expected a text that counts in the ${half} half of the steps, got none.`,
      )
    }
    this.#shape = shape
    this.#seed = seed
    this.#ofSource = sources.map(() => 0)
  }

  get cursor(): BatchCursor {
    return { taken: this.#taken, ofSource: [...this.#ofSource] }
  }

  /** Goes to where a run was. @throws UsageError if it had other sources */
  seek({ taken, ofSource }: BatchCursor): void {
    if (ofSource.length !== this.#windows.length) {
      throw new UsageError(
        `Expected the ${ofSource.length} sources of the run that is continued, got ${this.#windows.length}.`,
      )
    }
    this.#taken = taken
    this.#ofSource = [...ofSource]
  }

  /** Windows that are learnt from, of all sources. */
  get learntWindows(): number {
    return this.#windows.reduce((sum, { learnt }) => sum + learnt, 0)
  }

  /**
   * The batches of a step, whose tokens count the same in its loss.
   *
   * @param isLate whether the step is in the second half
   */
  async next(count: number, isLate = false): Promise<TrainingBatch[]> {
    const words: Int32Array[][] = []
    for (let i = 0; i < count; i++) {
      const rows: Int32Array[] = []
      for (let row = 0; row < this.#shape.batch; row++) rows.push(await this.#window(isLate))
      words.push(rows)
    }
    return batchesOf(words)
  }

  async #window(isLate: boolean): Promise<Int32Array> {
    const place = this.#pick(uniformAt(this.#seed, this.#taken++), isLate ? 1 : 0)
    const own = this.#windows[place]
    const taken = this.#ofSource[place]++
    const round = Math.floor(taken / own.learnt)
    const seed = this.#seed + 7919 * (place + 1) + 104_729 * (round + 1)
    return this.#read(own.source, shuffledAt(seed, taken % own.learnt, own.learnt))
  }

  #pick(share: number, half: 0 | 1): number {
    const total = this.#windows.reduce((sum, { weights }) => sum + weights[half], 0)
    let left = share * total
    const place = this.#windows.findIndex(({ weights }) => {
      left -= weights[half]
      return left < 0
    })
    return place < 0 ? this.#windows.length - 1 : place
  }

  async #read(source: TokenSource, window: number): Promise<Int32Array> {
    const { length } = this.#shape
    return source.read(window * length, length + 1)
  }

  /** The first batch of what is held out. */
  async firstHeldOut(): Promise<TrainingBatch> {
    const { value } = await this.heldOut().next()
    return value as TrainingBatch
  }

  /** What is held out, each batch for itself; the last one is filled up with what does not count. */
  async *heldOut(): AsyncGenerator<TrainingBatch> {
    const { batch, length } = this.#shape
    let rows: Int32Array[] = []
    for (const { source, learnt, heldOut } of this.#windows) {
      for (let i = 0; i < heldOut; i++) {
        rows.push(await this.#read(source, learnt + i))
        if (rows.length === batch) {
          yield* batchesOf([rows])
          rows = []
        }
      }
    }
    if (rows.length === 0) return
    const filled = rows.length
    while (rows.length < batch) rows.push(rows[0])
    yield* batchesOf([rows], filled * length)
  }
}

/** @param counted tokens of the first rows that count; unset: all */
function batchesOf(all: readonly (readonly Int32Array[])[], counted = Infinity): TrainingBatch[] {
  const batches = all.map((rows) => {
    const length = rows[0].length - 1
    const tokens = new Int32Array(rows.length * length)
    const targets = new Int32Array(rows.length * length)
    const weights = new Float32Array(rows.length * length)
    for (const [row, words] of rows.entries()) {
      for (let i = 0; i < length; i++) {
        const at = row * length + i
        tokens[at] = idOf(words[i])
        targets[at] = idOf(words[i + 1])
        weights[at] = isLearnt(words[i + 1]) && at < counted ? 1 : 0
      }
    }
    return { tokens, targets, weights }
  })
  const total = batches.reduce((sum, { weights }) => sum + weights.reduce((a, b) => a + b, 0), 0)
  for (const { weights } of batches) {
    for (let i = 0; i < weights.length; i++) weights[i] /= Math.max(1, total)
  }
  return batches
}
