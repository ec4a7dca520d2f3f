/**
 * What commands take indices from: token ids, slots, positions and row numbers. They pick addresses, and
 * lie in buffers whose columns have limits (index-buffer.ts), so that a command is checked once, when it
 * is recorded.
 */
import { ShapeError } from '../errors.ts'
import type { IndexColumn } from './index-buffer.ts'
import { WORD } from './operand-kinds.ts'
import type { BufferSlice } from './slice.ts'

/** One column of int32 rows, and what its values must be below. */
export interface StepInput {
  readonly slice: BufferSlice
  /** What the values are, for the message: "token", "slot", "position". */
  readonly name: string
  /** Words from one row to the next, and of the value in its row. */
  readonly stride: number
  readonly offset: number
  /** Values are in [0, limit). */
  readonly limit: number
}

/** Indices of rows (cols floats) of `x`, first in their own rows of words. */
export function rowInput(
  x: BufferSlice,
  cols: number,
  index: Pick<StepInput, 'slice' | 'stride'>,
): StepInput {
  const limit = Math.floor(x.byteLength / (cols * WORD))
  return { ...index, name: 'row index', offset: 0, limit }
}

/** Indices that are alone in their rows. */
export function indexInput(slice: BufferSlice, name: string, limit: number): StepInput {
  return { slice, name, stride: 1, offset: 0, limit }
}

/** A buffer of row numbers, as gather-rows takes them. */
export function rowColumns(rows: number): IndexColumn[] {
  return [{ name: 'row index', limit: rows }]
}

/** A buffer of pairs of a row of logits and a token, as token-scores takes them. */
export function pairColumns(rows: number, tokens: number): IndexColumn[] {
  return [...rowColumns(rows), { name: 'scored token', limit: tokens }]
}

/**
 * @param op the operation, for messages
 * @throws ShapeError if this does not come from an index buffer with such columns, or may be above what
 *   the command has memory for
 */
export function checkStepInput(op: string, input: StepInput): void {
  const { slice, name, limit } = input
  const column = columnOf(op, input)
  if (column.limit <= limit) return
  throw new ShapeError(
    `Expected each ${name} in buffer "${slice.label}" of ${op} to be below ${limit}, got a limit ` +
      `of ${column.limit}.`,
  )
}

/**
 * @param op the operation, for messages
 * @throws ShapeError if this does not go to an index buffer with such columns, or may be above what the
 *   buffer's readers were promised
 */
export function checkStepOutput(op: string, output: StepInput): void {
  const { slice, name, limit } = output
  const column = columnOf(op, output)
  if (column.limit >= limit) return
  throw new ShapeError(
    `Expected buffer "${slice.label}" of ${op} to take each ${name} below ${limit}, got a limit of ` +
      `${column.limit}.`,
  )
}

function columnOf(op: string, { slice, stride, offset }: StepInput): IndexColumn {
  const { columns } = slice.buffer
  if (columns === undefined) {
    throw new ShapeError(
      `Expected buffer "${slice.label}" of ${op} to be one of indices, got one of other values.`,
    )
  }
  if (columns.length !== stride || slice.byteOffset % (stride * WORD) !== 0) {
    throw new ShapeError(
      `Expected buffer "${slice.label}" of ${op} to have rows of ${stride} columns, got ` +
        `${columns.length} columns at byte ${slice.byteOffset}.`,
    )
  }
  return columns[offset]
}
