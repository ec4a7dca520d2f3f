import { defineOp } from '../define-op.ts'
import { floats, WORD, words } from '../operand-kinds.ts'
import { MAX_EXPERTS, MAX_TOP } from '../route/reference.ts'
import type { BufferSlice } from '../slice.ts'
import { indexInput } from '../step-inputs.ts'
import { routeBackward as reference } from './reference.ts'

/** The gradient of a router's logits (rows, experts); see route-backward/reference.ts. */
export interface RouteBackwardCommand {
  readonly op: 'route-backward'
  readonly rows: number
  readonly experts: number
  readonly top: number
  /** What the loss of uneven use is multiplied by: its coefficient times the number of experts. */
  readonly balance: number
  readonly logits: BufferSlice
  /** (rows, top) each: what `route` left, and the gradient of the weights. */
  readonly weights: BufferSlice
  readonly places: BufferSlice
  readonly chosen: BufferSlice
  readonly dWeights: BufferSlice
  /** (rows) floats: what each row counts in the loss. */
  readonly counts: BufferSlice
  readonly dLogits: BufferSlice
}

const assigned = ({ rows, top }: RouteBackwardCommand) => rows * top
const all = ({ rows, experts }: RouteBackwardCommand) => rows * experts

export const routeBackward = defineOp<RouteBackwardCommand>()({
  name: 'route-backward',
  operands: {
    logits: floats(all),
    weights: floats(assigned),
    places: words(assigned),
    chosen: words(assigned),
    dWeights: floats(assigned),
    counts: floats((c) => c.rows),
    dLogits: floats(all, 'write'),
  },
  counts: { experts: MAX_EXPERTS, top: MAX_TOP },
  check: (check, { balance }) => check.eps('balance', balance),
  integers: { experts: (c) => c.experts, top: (c) => c.top },
  floats: { balance: (c) => c.balance },
  indices: (c) => [
    indexInput(c.places, 'place', assigned(c)),
    indexInput(c.chosen, 'expert', c.experts),
  ],
  scratch: (c) => c.experts * WORD,
  reference: (m, c) => reference(m, c),
  agreement: 'exact',
  nearly: { dLogits: { within: ({ experts }) => ({ ofLargest: 2e-6 * Math.sqrt(experts) }) } },
  workgroups: ({ rows }) => [Math.ceil(rows / 64), 1],
})
