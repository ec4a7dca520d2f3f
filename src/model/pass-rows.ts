/**
 * Puts the rows of a pass together, and cuts long texts into passes.
 */
import type { RowBatch } from './engine.ts'

export class PassRows implements RowBatch {
  readonly tokens: number[] = []
  readonly slots: number[] = []
  readonly positions: number[] = []
  readonly logitRows: number[] = []
  readonly #maxRows: number

  /** @param maxRows most rows that the engine takes */
  constructor(maxRows: number) {
    this.#maxRows = maxRows
  }

  /** How many more rows fit. */
  get room(): number {
    return this.#maxRows - this.tokens.length
  }

  add(slot: number, position: number, token: number): void {
    this.tokens.push(token)
    this.slots.push(slot)
    this.positions.push(position)
  }

  /**
   * Adds the tokens of a sequence from a position on, as many as fit.
   *
   * @param tokens of the whole sequence, by position
   * @returns the position that comes after them
   */
  fill(slot: number, tokens: readonly number[], from: number): number {
    const end = Math.min(tokens.length, from + this.room)
    for (let position = from; position < end; position++) this.add(slot, position, tokens[position])
    return end
  }

  /** Asks for the logits, or the vector, of the last row. */
  want(): void {
    this.logitRows.push(this.tokens.length - 1)
  }
}

/**
 * The passes that compute one sequence from a position on, each of as many rows as the engine takes.
 *
 * @param tokens of the whole sequence, by position
 * @param wantsLast whether the last token's logits are wanted
 */
export function* passesOf(
  maxRows: number,
  slot: number,
  tokens: readonly number[],
  from: number,
  wantsLast: boolean,
): Generator<PassRows> {
  for (let at = from; at < tokens.length; ) {
    const rows = new PassRows(maxRows)
    at = rows.fill(slot, tokens, at)
    if (wantsLast && at === tokens.length) rows.want()
    yield rows
  }
}
