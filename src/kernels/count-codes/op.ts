import { packedByteLength } from '../../ternary/index.ts'
import { MAX_COLS } from '../checker.ts'
import { defineOp } from '../define-op.ts'
import { WORD, words } from '../operand-kinds.ts'
import type { BufferSlice } from '../slice.ts'
import { COUNTS, countCodes as reference } from './reference.ts'

/**
 * Counts the codes of a ternary matrix (rows, cols) in tiles of 2 bits: out (3 int32) has those of -1, those of +1,
 * and those that are not what they were in `before`, which becomes a copy of `codes`.
 */
export interface CountCodesCommand {
  readonly op: 'count-codes'
  /** Of the matrix. */
  readonly rows: number
  readonly cols: number
  readonly codes: BufferSlice
  readonly before: BufferSlice
  readonly out: BufferSlice
}

/** Words of a piece, of which each is counted by one thread. */
const COUNTED_WORDS = 4096

const wordsOf = (c: CountCodesCommand) => packedByteLength(c.rows, c.cols) / WORD

export const countCodes = defineOp<CountCodesCommand>()({
  name: 'count-codes',
  operands: {
    codes: words(wordsOf),
    before: words(wordsOf, 'update'),
    out: words(() => COUNTS, 'write'),
  },
  counts: { cols: MAX_COLS },
  check(check, { rows, cols }) {
    // A count is an int32.
    check.count('rows * cols', rows * cols, 2 ** 31 - 1)
  },
  integers: { words: wordsOf },
  scratch: (c) => Math.ceil(wordsOf(c) / COUNTED_WORDS) * COUNTS * WORD,
  reference: (m, c) => reference(m.out, m.codes, m.before, wordsOf(c)),
  agreement: 'exact',
  constants: { COUNTED_WORDS },
  workgroups: () => [1, 1],
})
