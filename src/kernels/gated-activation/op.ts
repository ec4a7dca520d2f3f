import { MAX_COLS } from '../checker.ts'
import { defineOp } from '../define-op.ts'
import { floats } from '../operand-kinds.ts'
import type { BufferSlice } from '../slice.ts'
import { ACTIVATIONS, type Activation, gatedActivation as reference } from './reference.ts'

/** out (rows, cols) = activation(gate) * up, with gateUp (rows, 2 * cols): gate first, then up. */
export interface GatedActivationCommand {
  readonly op: 'gated-activation'
  readonly rows: number
  readonly cols: number
  readonly activation: Activation
  readonly gateUp: BufferSlice
  readonly out: BufferSlice
}

export const gatedActivation = defineOp<GatedActivationCommand>()({
  name: 'gated-activation',
  operands: {
    gateUp: floats((c) => c.rows * 2 * c.cols),
    out: floats((c) => c.rows * c.cols, 'write'),
  },
  counts: { cols: MAX_COLS },
  check: (check, { activation }) => check.oneOf('activation', activation, ACTIVATIONS),
  integers: { cols: (c) => c.cols, activation: (c) => ACTIVATIONS.indexOf(c.activation) },
  reference: (m, c) => reference(m.out, m.gateUp, c.activation, c.rows, c.cols),
  agreement: 'exact',
  // WGSL's exponential may be 3 + 2 |x| units of the last place away, where x is at most 88. Below 2^-126,
  // results and what they are computed from may be 0.
  nearly: {
    out: { within: () => ({ absolute: 1.2e-38, relative: 2.2e-5, ofLargest: 1.7e-38 }) },
  },
  workgroups: ({ rows, cols }) => [Math.ceil(cols / 64), rows],
  constants: { ACTIVATION: ACTIVATIONS },
})
