/** What is asked of commands that might run as one job with those behind them. */
import type { ValidCommand } from '../../kernels/commands.ts'
import type { MaybeOperand } from '../../kernels/define-op.ts'
import type { Command } from '../../kernels/ops.ts'
import type { BufferSlice } from '../../kernels/slice.ts'

/** A command of one operation. */
export type Valid<Op extends Command['op']> = ValidCommand & {
  readonly command: Extract<Command, { op: Op }>
}

export function isOp<Op extends Command['op']>(
  valid: ValidCommand | undefined,
  op: Op,
): valid is Valid<Op> {
  return valid?.command.op === op
}

/** @param name of one of the operation's slices, e.g. "out.q" */
export function operandOf({ operands, operation }: ValidCommand, name: string): MaybeOperand {
  return operands[operation.slices.findIndex((slice) => slice.name === name)]
}

/** The same bytes, by whichever slices. */
export function isSame(a: BufferSlice, b: BufferSlice): boolean {
  return a.buffer === b.buffer && a.byteOffset === b.byteOffset
}

/**
 * Whether all that is written to an operand is overwritten by commands from `at` on, before anything reads
 * it, or left behind in scratch memory.
 */
export function isOverwritten(
  written: MaybeOperand,
  commands: readonly ValidCommand[],
  at: number,
): boolean {
  if (written === undefined) return true
  const { buffer, byteOffset } = written.slice
  // What is not yet overwritten.
  let first = byteOffset
  const end = byteOffset + written.byteLength
  for (const { command, operands } of commands.slice(at)) {
    const users = operands.filter((own) => own?.slice.buffer === buffer)
    for (const own of users) {
      if (own === undefined || own.access === 'write') continue
      // Products read the tokens that they say; others may read anything in their slices.
      const isBounded = command.op === 'ternary-matmul'
      const byteLength = isBounded ? own.byteLength : own.slice.byteLength
      const from = own.slice.byteOffset
      if (from < end && first < from + byteLength) return false
    }
    for (const own of users) {
      if (own?.access !== 'write' || own.slice.byteOffset > first) continue
      first = Math.max(first, own.slice.byteOffset + own.byteLength)
    }
    if (first >= end) return true
  }
  return buffer.isScratch === true
}
