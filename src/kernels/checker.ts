/** The checks of commands, and how they say what is wrong. */
import { ShapeError } from '../errors.ts'

/** A row's elements and bytes are int32 in the kernels; far above any model's width. */
export const MAX_COLS: number = 2 ** 22
/** Row, head and slot numbers are int32 in the kernels, and so is their product with a few heads. */
export const MAX_COUNT: number = 2 ** 24

export class Checker {
  readonly #op: string

  constructor(op: string) {
    this.#op = op
  }

  fail(name: string, expected: string, got: unknown): never {
    throw new ShapeError(`Expected ${name} of ${this.#op} to be ${expected}, got ${got}.`)
  }

  /** From 1 to `limit`. */
  count(name: string, value: number, limit: number = MAX_COUNT): void {
    if (!Number.isInteger(value) || value < 1 || value > limit) {
      this.fail(name, `an integer from 1 to ${limit}`, value)
    }
  }

  /** From 0 to `last`, a multiple of `step`. */
  first(name: string, value: number, last: number, step = 1): void {
    if (!Number.isInteger(value) || value < 0 || value > last || value % step !== 0) {
      const what = step === 1 ? 'an integer' : `a multiple of ${step}`
      this.fail(name, `${what} from 0 to ${last}`, value)
    }
  }

  oneOf(name: string, value: string, known: readonly string[]): void {
    if (!known.includes(value)) this.fail(name, known.join(', '), value)
  }

  eps(name: string, value: number): void {
    if (!(value >= 0 && value < Infinity)) {
      this.fail(name, 'a finite number of at least 0', value)
    }
  }
}
