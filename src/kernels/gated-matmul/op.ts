import { padToTile } from '../../ternary/index.ts'
import { defineOp } from '../define-op.ts'
import { type QuantizedBuffer, quantized, type TernaryMatrix, ternary } from '../matrices.ts'
import { floats, WORD } from '../operand-kinds.ts'
import type { BufferSlice } from '../slice.ts'
import { LISTED_TOKENS } from '../ternary-matmul/op.ts'
import { gatedMatmul as reference } from './reference.ts'

/**
 * A gated feed-forward with relu²: out (rows, weights.rows / 2) = relu(gate)² * up, gate and up products of
 * the halves of W by q. Where no gate is positive, a row of `up` is not read.
 */
export interface GatedMatmulCommand {
  readonly op: 'gated-matmul'
  readonly rows: number
  /** In the order 'gated': gate, then up. */
  readonly weights: TernaryMatrix
  readonly x: QuantizedBuffer
  /** (rows, weights.rows), of which the first half of each row is written: the gate. */
  readonly gateUp: BufferSlice
  readonly out: BufferSlice
}

/** Bytes of q that a line of words meets: 16 words of each plane, of which the 1.6-bit layout has five. */
const LINE_PLANES_BYTES = 16 * WORD * 5

export const gatedMatmul = defineOp<GatedMatmulCommand>()({
  name: 'gated-matmul',
  operands: {
    x: quantized((c) => c.weights.cols),
    weights: ternary(),
    gateUp: floats((c) => c.rows * c.weights.rows, 'update'),
    out: floats((c) => (c.rows * c.weights.rows) / 2, 'write'),
  },
  check(check, { weights: { order = 'stripes' } }) {
    check.oneOf('weights.order', order, ['gated'])
  },
  // q in the order in which a row's words meet it, whole lines; see vector.c.
  scratch: ({ rows, weights: { cols } }) =>
    rows <= LISTED_TOKENS ? rows * (padToTile(cols) + LINE_PLANES_BYTES) : 0,
  constants: { LINE_PLANES_BYTES },
  reference: (m, c) => reference(m.out, m.gateUp, m.x, m.weights, c.rows),
  agreement: 'exact',
})
