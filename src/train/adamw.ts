/** The optimiser's step over all parameters, as commands, and its numbers. */
import { WORD } from '../kernels/operand-kinds.ts'
import type { Command } from '../kernels/ops.ts'
import { type BufferSlice, sliceOf } from '../kernels/slice.ts'
import type { TrainingMemory } from './memory.ts'
import { muonCommands } from './muon.ts'
import { ARENA_COLS, type TrainingPlan } from './plan.ts'

export interface AdamwSettings {
  readonly beta1: number
  readonly beta2: number
  readonly eps: number
  /** The largest norm of a gradient; 0 for no clipping. */
  readonly clip: number
}

/** As published with b1.58; clipping as is usual. */
export const ADAMW: AdamwSettings = { beta1: 0.9, beta2: 0.95, eps: 1e-8, clip: 1 }

/** Makes gradients and losses zero. */
export function clearCommands({ arenas, losses }: TrainingMemory): Command[] {
  // x is not looked at, and not what is cleared: on a GPU a copy would be made of that.
  const clear = (out: BufferSlice, cols: number): Command => {
    const rows = out.byteLength / WORD / cols
    return { op: 'axpy', rows, cols, scale: 0, x: arenas.weights, out }
  }
  return [clear(arenas.gradients, ARENA_COLS), clear(losses, 1)]
}

/** A step of all parameters, clipped by the norm of the whole gradient. */
export function updateCommands(memory: TrainingMemory, plan: TrainingPlan): Command[] {
  const { arenas, squareSum, numbers } = memory
  const rows = plan.arenaFloats / ARENA_COLS
  const commands: Command[] = [
    { op: 'square-sum', rows, cols: ARENA_COLS, x: arenas.gradients, out: squareSum },
  ]
  for (const [i, group] of plan.groups.entries()) {
    if (group.rows === 0) continue
    const part = (arena: BufferSlice) =>
      sliceOf(arena, group.first * WORD, group.rows * ARENA_COLS * WORD)
    commands.push({
      op: 'adamw',
      rows: group.rows,
      cols: ARENA_COLS,
      parameters: part(arenas.weights),
      gradients: part(arenas.gradients),
      means: part(arenas.means),
      squares: part(arenas.squares),
      numbers: numbers[i],
      squareSum,
    })
  }
  return [...commands, ...muonCommands(memory, plan)]
}

/** The numbers of a step (see kernels/adamw/reference.ts), the first being 0. */
export function stepNumbers(
  { beta1, beta2, eps, clip }: AdamwSettings,
  step: number,
  rate: number,
  decay: number,
  lossScale: number,
): Float32Array {
  return Float32Array.of(
    rate / (1 - beta1 ** (step + 1)),
    1 - rate * decay,
    beta1,
    1 - beta1,
    beta2,
    1 - beta2,
    1 / Math.sqrt(1 - beta2 ** (step + 1)),
    eps,
    clip,
    1 / lossScale,
  )
}
