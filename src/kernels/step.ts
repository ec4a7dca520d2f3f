/** The step buffer: which token of which sequence each row of a pass is. */
import type { IndexColumn } from './index-buffer.ts'
import { type OperandKind, words } from './operand-kinds.ts'
import type { BufferSlice } from './slice.ts'
import type { StepInput } from './step-inputs.ts'

/**
 * One entry a token, four int32: the token's id, the KV cache's slot (the sequence), the position in that
 * sequence, and 0.
 */
export const STEP_WORDS = 4

/** Where each of them is in an entry. */
export const STEP = { token: 0, slot: 1, position: 2 } as const

interface WithStep {
  readonly rows: number
  readonly step: BufferSlice
}

/** The step buffer as an operand. */
export function stepRows<C extends WithStep>(): OperandKind<C, BufferSlice, Int32Array> {
  return words((c: C) => c.rows * STEP_WORDS)
}

/** What the step buffer's entries must be below. */
export function stepInput(name: keyof typeof STEP, { step }: WithStep, limit: number): StepInput {
  return { slice: step, name, stride: STEP_WORDS, offset: STEP[name], limit }
}

/** The columns of a step buffer for so many tokens, slots and positions. */
export function stepColumns(limits: {
  readonly tokens: number
  readonly slots: number
  readonly positions: number
}): IndexColumn[] {
  return [
    { name: 'token', limit: limits.tokens },
    { name: 'slot', limit: limits.slots },
    { name: 'position', limit: limits.positions },
    { name: 'last word', limit: 1 },
  ]
}
