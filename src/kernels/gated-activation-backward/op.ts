import { MAX_COLS } from '../checker.ts'
import { defineOp } from '../define-op.ts'
import { ACTIVATIONS, type Activation } from '../gated-activation/reference.ts'
import { floats } from '../operand-kinds.ts'
import type { BufferSlice } from '../slice.ts'
import { gatedActivationBackward as reference } from './reference.ts'

/** The gradient of gated-activation: dGateUp (rows, 2 * cols) from dOut (rows, cols), gate first, then up. */
export interface GatedActivationBackwardCommand {
  readonly op: 'gated-activation-backward'
  readonly rows: number
  readonly cols: number
  readonly activation: Activation
  readonly gateUp: BufferSlice
  readonly dOut: BufferSlice
  readonly dGateUp: BufferSlice
}

export const gatedActivationBackward = defineOp<GatedActivationBackwardCommand>()({
  name: 'gated-activation-backward',
  operands: {
    gateUp: floats((c) => c.rows * 2 * c.cols),
    dOut: floats((c) => c.rows * c.cols),
    dGateUp: floats((c) => c.rows * 2 * c.cols, 'write'),
  },
  inPlace: [['gateUp', 'dGateUp']],
  counts: { cols: MAX_COLS },
  check: (check, { activation }) => check.oneOf('activation', activation, ACTIVATIONS),
  integers: { cols: (c) => c.cols, activation: (c) => ACTIVATIONS.indexOf(c.activation) },
  reference: (m, c) => reference(m, c),
  agreement: 'exact',
  // Exponentials and quotients of GPUs are some places off.
  nearly: { dGateUp: { within: () => ({ ofLargest: 2 ** -19 }) } },
  workgroups: ({ rows, cols }) => [Math.ceil(cols / 64), rows],
})
