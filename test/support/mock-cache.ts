/** For tests: a cache without memory. */
import type { BookFacts } from '../../src/model/cache/book-facts.ts'
import { SequenceBook } from '../../src/model/cache/sequence-book.ts'
import type { CacheContent, CacheCopies, CopiedPositions } from '../../src/model/engine.ts'

/** Of which keys and values are the tokens themselves. */
export class MockSequenceCache extends SequenceBook implements CacheCopies {
  readonly content: CacheContent = { type: 'f16', nLayers: 1, nKvHeads: 1, headDim: 16 }
  /** What copied keys and values must be for this model. */
  readonly salt: number

  constructor(facts: BookFacts, salt = 0) {
    super(facts)
    this.salt = salt
  }

  byteLengthOf(positions: number): number {
    return positions
  }

  async copyOut(tokens: ArrayLike<number>): Promise<CopiedPositions> {
    const { length } = this.known(tokens)
    return { length, bytes: this.#bytes(tokens, length) }
  }

  async copyOf(slot: number): Promise<CopiedPositions> {
    const { length } = this.knownOf(slot)
    return { length, bytes: this.#bytes(this.computed(slot), length) }
  }

  async copyIn(tokens: ArrayLike<number>, bytes: Uint8Array): Promise<boolean> {
    const opened = this.open([], tokens.length)
    if (opened === undefined) return false
    if (bytes.join() !== this.#bytes(tokens, tokens.length).join()) throw new Error('Other bytes.')
    this.assumeComputed(opened.slot, tokens)
    this.close(opened.slot, tokens)
    return true
  }

  #bytes(tokens: ArrayLike<number>, length: number): Uint8Array {
    return Uint8Array.from({ length }, (_, i) => tokens[i] + this.salt)
  }
}
