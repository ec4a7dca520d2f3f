import { MAX_COLS } from '../checker.ts'
import { defineOp } from '../define-op.ts'
import { type QuantizedBuffer, quantized } from '../matrices.ts'
import { floats } from '../operand-kinds.ts'
import type { BufferSlice } from '../slice.ts'
import { quantize as reference } from './reference.ts'

/** Absmax int8 of each token of x (rows, cols), after an RMSNorm where `weight` is given. */
export interface QuantizeCommand {
  readonly op: 'quantize'
  readonly rows: number
  readonly cols: number
  readonly eps: number
  readonly x: BufferSlice
  readonly weight: BufferSlice | undefined
  readonly out: QuantizedBuffer
}

export const quantize = defineOp<QuantizeCommand>()({
  name: 'quantize',
  operands: {
    x: floats((c) => c.rows * c.cols),
    weight: floats((c) => c.cols),
    out: quantized((c) => c.cols, 'write'),
  },
  counts: { cols: MAX_COLS },
  check: (check, c) => check.eps('eps', c.eps),
  integers: { cols: (c) => c.cols },
  floats: { eps: (c) => c.eps },
  reference: (m, c) => reference(m.out, m.x, m.weight, c.rows, c.cols, c.eps),
  agreement: 'exact',
  // Without a norm the same; with one a value may lie on the other side of a half.
  nearly: {
    out: { within: ({ weight }) => (weight ? { absolute: 1, relative: 1e-5 } : {}) },
  },
  workgroups: ({ rows }) => [rows, 1],
})
