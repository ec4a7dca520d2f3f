/**
 * Recorded passes, kept by their shape: a decode step replays the recording of the step before. Prompts
 * come in all lengths, so only the most recently used are kept.
 */
import type { Program } from '../backends/backend.ts'

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
  readonly program: Program
}

export class ProgramCache {
  /** Most recently used last. */
  #entries: Entry[] = []

  /** The recording for this shape, if there is one; it counts as used. */
  find(shape: PassShape): Program | undefined {
    const { rows, logitRows, head, targets, draws } = shape
    const at = this.#entries.findLastIndex(
      (e) =>
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

  add(shape: PassShape, program: Program): void {
    this.#entries.push({ ...shape, program })
    if (this.#entries.length > MAX_PROGRAMS) this.#entries.shift()?.program.dispose()
  }

  /** Forgets all recordings. */
  clear(): void {
    for (const { program } of this.#entries) program.dispose()
    this.#entries = []
  }
}
