import { MAX_COLS } from '../checker.ts'
import { defineOp } from '../define-op.ts'
import { type QuantizedBuffer, quantized } from '../matrices.ts'
import { floats } from '../operand-kinds.ts'
import type { BufferSlice } from '../slice.ts'
import { dequantize as reference } from './reference.ts'

/** The values of int8 activations, q * scale: out (rows, cols). */
export interface DequantizeCommand {
  readonly op: 'dequantize'
  readonly rows: number
  readonly cols: number
  readonly x: QuantizedBuffer
  readonly out: BufferSlice
}

export const dequantize = defineOp<DequantizeCommand>()({
  name: 'dequantize',
  operands: { x: quantized((c) => c.cols), out: floats((c) => c.rows * c.cols, 'write') },
  counts: { cols: MAX_COLS },
  integers: { cols: (c) => c.cols },
  reference: (m, c) => reference(m.out, m.x, c.rows, c.cols),
  agreement: 'exact',
  workgroups: ({ rows, cols }) => [Math.ceil(cols / 64), rows],
})
