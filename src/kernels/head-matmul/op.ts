import { padToTile, TILE } from '../../ternary/index.ts'
import { MAX_COUNT } from '../checker.ts'
import { defineOp } from '../define-op.ts'
import { splitByteLength } from '../dense-matmul/op.ts'
import { type DenseMatrix, dense } from '../matrices.ts'
import { floats, WORD } from '../operand-kinds.ts'
import type { BufferSlice } from '../slice.ts'
import { headMatmul as reference } from './reference.ts'

/**
 * The head: out (rows, weights.rows) = W x with int4 weights. All results are near; those of the
 * `exactStripes` stripes of 16 rows with the largest ones are what dense-matmul gives with int8.
 */
export interface HeadMatmulCommand {
  readonly op: 'head-matmul'
  readonly rows: number
  readonly weights: DenseMatrix
  readonly x: BufferSlice
  readonly out: BufferSlice
  readonly exactStripes: number
}

export const headMatmul = defineOp<HeadMatmulCommand>()({
  name: 'head-matmul',
  operands: {
    x: floats((c) => c.rows * c.weights.cols),
    weights: dense(['int4']),
    out: floats((c) => c.rows * c.weights.rows, 'write'),
  },
  counts: { exactStripes: MAX_COUNT },
  integers: { exactStripes: (c) => c.exactStripes },
  // Each token's planes, the largest result of each stripe, and the stripes that are chosen.
  scratch({ rows, weights, exactStripes }) {
    const stripes = padToTile(weights.rows) / TILE
    const words = padToTile(stripes) + Math.min(stripes, exactStripes)
    return rows * (splitByteLength(weights) + words * WORD)
  },
  sparse: ({ weights }) => weights.data,
  reference: (m, c) => reference(m.out, m.x, m.weights, c.rows, c.exactStripes),
  agreement: 'exact',
  // The shader has no near results: all are as the reference has those of the exact stripes.
  nearly: {
    out: { within: ({ weights: { cols } }) => ({ absolute: 1.6e-10 * cols, ofLargest: 0.2 }) },
  },
  workgroups: ({ rows, weights }) => [Math.ceil(weights.rows / TILE), Math.ceil(rows / 4)],
})
