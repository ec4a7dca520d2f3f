import { defineOp } from '../define-op.ts'
import { floats, WORD, words } from '../operand-kinds.ts'
import type { BufferSlice } from '../slice.ts'
import { indexInput } from '../step-inputs.ts'
import { MAX_EXPERTS, MAX_TOP, route as reference } from './reference.ts'

/**
 * Sends each row to the `top` experts with the largest of its logits (rows, experts): how much each counts, and
 * where it lies among all rows sorted by expert; see route/reference.ts.
 */
export interface RouteCommand {
  readonly op: 'route'
  readonly rows: number
  readonly experts: number
  readonly top: number
  readonly logits: BufferSlice
  /** (rows, top) floats. */
  readonly weights: BufferSlice
  /** (rows, top) indices each. */
  readonly places: BufferSlice
  readonly sources: BufferSlice
  readonly chosen: BufferSlice
}

const assigned = ({ rows, top }: RouteCommand) => rows * top

export const route = defineOp<RouteCommand>()({
  name: 'route',
  operands: {
    logits: floats((c) => c.rows * c.experts),
    weights: floats(assigned, 'write'),
    places: words(assigned, 'write'),
    sources: words(assigned, 'write'),
    chosen: words(assigned, 'write'),
  },
  counts: { experts: MAX_EXPERTS, top: MAX_TOP },
  check(check, { experts, top }) {
    if (top > experts) check.fail('top', `at most the ${experts} experts`, top)
  },
  integers: { experts: (c) => c.experts, top: (c) => c.top },
  writtenIndices: (c) => [
    indexInput(c.places, 'place', c.rows * c.top),
    indexInput(c.sources, 'row index', c.rows),
    indexInput(c.chosen, 'expert', c.experts),
  ],
  reference: (m, c) => reference(m, m.logits, c),
  agreement: 'exact',
  // WGSL's exponential and division.
  nearly: { weights: { within: () => ({ absolute: 1.2e-38, relative: 4e-5 }) } },
  workgroups: ({ rows }) => [Math.ceil(rows / 64), 1],
  finish: (c) => ({ workgroups: [c.experts, 1], betweenBytes: assigned(c) * WORD }),
  constants: { MAX_EXPERTS, MAX_TOP },
})
