import { padToTile } from '../../ternary/index.ts'
import { type AdjustLogitsCommand, adjustmentInputs } from '../adjust-logits/op.ts'
import { PENALTY_FLOATS } from '../adjust-logits/reference.ts'
import { MAX_COUNT } from '../checker.ts'
import { defineOp } from '../define-op.ts'
import { boundFloats } from '../look-weights/op.ts'
import { type DenseMatrix, dense } from '../matrices.ts'
import { floats, WORD, words } from '../operand-kinds.ts'
import { SAMPLE_WORDS } from '../sample/op.ts'
import { MAX_SAMPLED_COLS, SETTING_WORDS } from '../sample/reference.ts'
import type { BufferSlice } from '../slice.ts'
import { STEP_WORDS } from '../step.ts'
import { headDraw as reference } from './reference.ts'

/**
 * tokens (rows) int32: what `sample` draws from the logits that `dense-matmul` makes of x (rows, weights.cols) and
 * `adjust-logits` changes, without the logits: a kernel may leave out those that cannot matter.
 */
export interface HeadDrawCommand
  extends Pick<
    AdjustLogitsCommand,
    'biasCount' | 'amounts' | 'biasTokens' | 'capacity' | 'history' | 'mask'
  > {
  readonly op: 'head-draw'
  readonly rows: number
  /** f16; its rows are the vocabulary. */
  readonly weights: DenseMatrix
  /** The same as int8, with bounds, as look-weights makes them. Both unset: all logits are computed. */
  readonly look?: DenseMatrix | undefined
  readonly bounds?: BufferSlice | undefined
  readonly x: BufferSlice
  readonly settings: BufferSlice
  readonly step: BufferSlice
  readonly index: BufferSlice
  readonly tokens: BufferSlice
}

/** Most rows of a command. */
export const MAX_DRAWN_ROWS = 1024

/** Top-k up to which a look is had before logits are computed. */
export const MOST_LARGEST = 256

/** Tokens of a row that may be left by it; with more, all are computed. */
const LOOK_ROOM = 1024

/** Tokens of a row that callers may change, for a look. */
const CHANGED_ROOM = 2048

/** Stripes that are looked at together; what their logits are at least and at most is kept lane by lane. */
const LOOK_STRIPES = 3

const LOOK_ROW_BYTES = 64
const LANES = 16
const LOOK_LISTS_BYTES = (2 * (LOOK_ROOM + LANES) + 2 * CHANGED_ROOM) * WORD

export const headDraw = defineOp<HeadDrawCommand>()({
  name: 'head-draw',
  operands: {
    x: floats((c) => c.rows * c.weights.cols),
    weights: dense(['f16']),
    look: dense(['int8']),
    bounds: floats((c) => boundFloats(c.weights.rows)),
    settings: words((c) => c.rows * SETTING_WORDS),
    // At least one entry; which ones are read depends on `index`.
    step: words(() => STEP_WORDS),
    index: words((c) => c.rows),
    amounts: floats((c) => c.rows * (PENALTY_FLOATS + c.biasCount)),
    biasTokens: words((c) => c.rows * c.biasCount),
    // At least one sequence; which ones are read depends on the step buffer.
    history: words((c) => c.capacity),
    mask: words((c) => c.rows * Math.ceil(c.weights.rows / 32)),
    tokens: words((c) => c.rows, 'write'),
  },
  counts: { biasCount: MAX_SAMPLED_COLS, capacity: MAX_COUNT },
  check(check, { rows, biasCount, weights, look, bounds }) {
    check.count('rows', rows, MAX_DRAWN_ROWS)
    check.count('weights.rows', weights.rows, MAX_SAMPLED_COLS)
    check.count('rows of biases', rows * biasCount)
    if (look === undefined && bounds === undefined) return
    const shape = (matrix: DenseMatrix | undefined) => matrix && `${matrix.rows} x ${matrix.cols}`
    if (shape(look) !== shape(weights)) check.fail('look', shape(weights) ?? '', shape(look))
    if (bounds === undefined) check.fail('bounds', 'a buffer beside look', undefined)
  },
  integers: { biasCount: (c) => c.biasCount, capacity: (c) => c.capacity },
  indices: (c) => adjustmentInputs(c, c.weights.rows),
  // See head-draw.h.
  scratch({ rows, weights }) {
    const { cols } = weights
    const padded = padToTile(weights.rows)
    const inputs = Math.ceil(rows / 8) * 8 * Math.ceil(cols / 4) * 4
    const peaks = 2 * LANES * Math.ceil(padded / LANES / LOOK_STRIPES)
    const each = padToTile(cols) + LANES + padded + LANES + peaks + 2 * Math.ceil(weights.rows / 32)
    const own = LOOK_ROW_BYTES + each * WORD + LOOK_LISTS_BYTES + SAMPLE_WORDS * 8
    return inputs + rows * own
  },
  reference: (m, c) =>
    reference(m.tokens, { ...m, biasCount: c.biasCount, capacity: c.capacity }, c.rows),
  agreement: 'exact',
  constants: {
    MOST_LARGEST,
    LOOK_ROOM,
    LOOK_STRIPES,
    CHANGED_ROOM,
    LOOK_ROW_BYTES,
    LOOK_LISTS_BYTES,
    MAX_DRAWN_ROWS,
  },
})
