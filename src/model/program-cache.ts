/**
 * Recorded passes, kept by their shape: a decode step replays the recording of the step before. Prompts
 * come in all lengths, so only the most recently used are kept.
 */
import type { Program } from '../backends/backend.ts'
import type { KvCache } from './engine.ts'

/** A handful of shapes recurs: a decode step, a full piece of a prompt, its rest. */
const MAX_PROGRAMS = 16

/** What a recording is made for. */
export interface PassShape {
  readonly rows: number
  readonly logitRows: number
  /** Whether the rows pass the head, or only the norm before it. */
  readonly head: boolean
  /** Tokens to be scored. */
  readonly targets: number
  /** What is drawn from the logits, in words; '' for nothing. */
  readonly draws: string
}

interface Entry extends PassShape {
  readonly cache: KvCache
  readonly program: Program
}

export class ProgramCache {
  /** Most recently used last. */
  #entries: Entry[] = []

  /** The recording for this shape, if there is one; it counts as used. */
  find(cache: KvCache, shape: PassShape): Program | undefined {
    const { rows, logitRows, head, targets, draws } = shape
    const at = this.#entries.findLastIndex(
      (e) =>
        e.cache === cache &&
        e.rows === rows &&
        e.logitRows === logitRows &&
        e.head === head &&
        e.targets === targets &&
        e.draws === draws,
    )
    if (at < 0) return undefined
    const [found] = this.#entries.splice(at, 1)
    this.#entries.push(found)
    return found.program
  }

  add(cache: KvCache, shape: PassShape, program: Program): void {
    this.#entries.push({ ...shape, cache, program })
    if (this.#entries.length > MAX_PROGRAMS) this.#entries.shift()?.program.dispose()
  }

  /** Forgets the recordings of one cache, or all. */
  clear(cache?: KvCache): void {
    const isGone = (entry: Entry) => cache === undefined || entry.cache === cache
    for (const entry of this.#entries.filter(isGone)) entry.program.dispose()
    this.#entries = this.#entries.filter((entry) => !isGone(entry))
  }
}
