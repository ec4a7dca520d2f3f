import { padToTile, TILE } from '../../ternary/index.ts'
import { defineOp } from '../define-op.ts'
import { type DenseMatrix, dense } from '../matrices.ts'
import { added, floats, WORD } from '../operand-kinds.ts'
import type { BufferSlice } from '../slice.ts'
import { denseMatmul as reference } from './reference.ts'

/** out (rows, weights.rows) = W x with dense weights; added to `out` if `accumulate`. */
export interface DenseMatmulCommand {
  readonly op: 'dense-matmul'
  readonly rows: number
  readonly weights: DenseMatrix
  readonly x: BufferSlice
  readonly out: BufferSlice
  readonly accumulate: boolean
  /** With f16 weights: x keeps all its bits, where speed would have 13 of them. Unset: false. */
  readonly wholeInput?: boolean | undefined
}

/** What follows a token's two planes of bytes in scratch memory: split_token in dense-matmul.h. */
const SPLIT_TOKEN_BYTES = 64

/** Scratch bytes of a token that is split into two planes. */
export function splitByteLength({ cols }: DenseMatrix): number {
  return 2 * padToTile(cols) + SPLIT_TOKEN_BYTES
}

export const denseMatmul = defineOp<DenseMatmulCommand>()({
  name: 'dense-matmul',
  operands: {
    x: floats((c) => c.rows * c.weights.cols),
    weights: dense(['f32', 'f16', 'int8']),
    out: floats((c) => c.rows * c.weights.rows, added),
  },
  integers: {
    accumulate: (c) => Number(c.accumulate),
    wholeInput: (c) => Number(c.wholeInput ?? false),
  },
  scratch: ({ rows, weights }) =>
    rows * (weights.type === 'int8' ? splitByteLength(weights) : weights.cols * WORD),
  reference: (m, c) => reference(m.out, m.x, m.weights, c.rows, c),
  agreement: 'exact',
  // The reference rounds x to 13 bits for f16, and to multiples of 3e-10 at least for int8.
  nearly: {
    out: {
      within: ({ weights: { cols } }) => ({ absolute: 1.6e-10 * cols, ofLargest: 5e-4 }),
    },
  },
  workgroups: ({ rows, weights }) => [Math.ceil(weights.rows / TILE), Math.ceil(rows / 4)],
  constants: { SPLIT_TOKEN_BYTES },
})
