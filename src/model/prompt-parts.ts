/**
 * How much of a prompt a device is given at once. While a GPU runs a dispatch it runs nothing else, the screen of the
 * machine included, so that a pass over many rows goes in parts. How many rows a part has follows from what the parts
 * before it took: a layer's time, of which its longest dispatch is a share. Results do not depend on it.
 */
import type { RowBatch } from './engine.ts'

/** Of a part before anything is known: 2B-4T's widest product takes 50 ms at 0.09 T operations/s then. */
const FIRST_ROWS = 64
/** Fewer read the weights for less and less, and below 25 other shaders run. */
const LEAST_ROWS = 32
/** What one part says of a larger one is not more than a guess. */
const MOST_GROWTH = 8

/** What devices were found to take, for the next load of a model of that shape. */
const known = new Map<string, number>()

export interface PartsFacts {
  /** Of device and model. */
  readonly name: string
  readonly layers: number
  /** Rows of a whole pass. */
  readonly maxRows: number
  /** Milliseconds that a layer may take. */
  readonly longestMs: number
}

export class PromptParts {
  readonly #facts: PartsFacts
  #rows: number

  constructor(facts: PartsFacts) {
    this.#facts = facts
    this.#rows = Math.min(known.get(facts.name) ?? FIRST_ROWS, facts.maxRows)
  }

  /** Rows that go ahead of the others: none of which anything is wanted; 0 if all may go together. */
  ahead({ tokens, logitRows }: RowBatch): number {
    if (tokens.length <= this.#rows) return 0
    const rows = Math.min(this.#rows, tokens.length - 1, ...Array.from(logitRows))
    return rows < LEAST_ROWS ? 0 : rows
  }

  /** @param ms that a pass over so many rows took */
  took(rows: number, ms: number): void {
    // Of few rows most of the time is reading weights, and of more than are wanted, nothing follows either.
    if (rows < LEAST_ROWS || 2 * rows < this.#rows) return
    const { name, layers, maxRows, longestMs } = this.#facts
    const fit = Math.min((longestMs * layers * rows) / ms, MOST_GROWTH * this.#rows)
    // Sizes that hold are recorded once.
    if (fit >= this.#rows && fit < 2 * this.#rows) return
    const wanted = 2 ** Math.floor(Math.log2(fit))
    this.#rows = Math.min(Math.max(wanted, LEAST_ROWS), maxRows)
    known.set(name, this.#rows)
  }
}

/** The first rows of a batch, of which nothing is wanted, and the others. */
export function cutBatch(batch: RowBatch, rows: number): [RowBatch, RowBatch] {
  const [tokens, slots, positions] = [batch.tokens, batch.slots, batch.positions].map((own) => {
    return Array.from(own)
  })
  const part = (from: number, to: number, logitRows: readonly number[]) => ({
    tokens: tokens.slice(from, to),
    slots: slots.slice(from, to),
    positions: positions.slice(from, to),
    logitRows,
  })
  const behind = Array.from(batch.logitRows, (row) => row - rows)
  return [part(0, rows, []), part(rows, tokens.length, behind)]
}
