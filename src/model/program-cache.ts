/**
 * Recorded passes, kept by their shape: a decode step replays the recording of the step before. Prompts
 * come in all lengths, so only the most recently used are kept.
 */
import type { Program } from '../backends/backend.ts'

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
  readonly #most: number
  /** Most recently used last. */
  #entries: Entry[] = []

  /** @param most recordings that are kept */
  constructor(most: number) {
    this.#most = most
  }

  /** The recording for this shape; it counts as used. */
  async get(shape: PassShape, record: () => Promise<Program>): Promise<Program> {
    const found = this.#find(shape)
    if (found !== undefined) return found
    const program = await record()
    this.#entries.push({ ...shape, program })
    if (this.#entries.length > this.#most) this.#entries.shift()?.program.dispose()
    return program
  }

  #find(shape: PassShape): Program | undefined {
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

  /** Forgets all recordings. */
  clear(): void {
    for (const { program } of this.#entries) program.dispose()
    this.#entries = []
  }
}

/** A plain object of numbers and flags in words, as {@link PassShape} has them of draws. */
export function wordsOf(shape: object): string {
  return Object.values(shape).join()
}
