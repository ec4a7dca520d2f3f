/**
 * Which packed layout ternary weights get in memory: 2 bits, or 1.6 bits where the processor unpacks
 * them faster than memory brings the fifth that they save.
 */
import type { Backend } from '../backends/backend.ts'
import type { Command, TernaryMatrix, TernaryPacking } from '../kernels/commands.ts'
import { ternaryByteLength } from '../kernels/operands.ts'
import { padToTile } from '../ternary/index.ts'
import { BufferOwner } from './buffer-owner.ts'

/** The variants with a quick product of the 1.6-bit layout. */
export const BASE3_ISAS: readonly string[] = ['x86-avx512vbmi', 'x86-amx']
/** Below this, weights lie in the caches of most processors, and bytes are not what matters. */
const SMALL_MODEL_WEIGHTS = 1 << 28
/** The matrix that is timed: twelve of them are 70 million weights, 18 MB at 2 bits. */
const ROWS = 2304
const COLS = 2560
const COPIES = 12
const PASSES = 3

/**
 * @param asked what the caller wants; 'auto' times both layouts where there is a choice
 * @param weights ternary weights of the model
 */
export async function choosePacking(
  backend: Backend,
  asked: 'auto' | TernaryPacking,
  weights: number,
): Promise<TernaryPacking> {
  if (asked !== 'auto') return asked
  if (!BASE3_ISAS.includes(backend.isa) || weights < SMALL_MODEL_WEIGHTS) return '2bit'
  const twoBit = await passMs(backend, '2bit')
  const base3 = await passMs(backend, 'base3')
  return base3 < twoBit ? 'base3' : '2bit'
}

/** The best time of one pass of a token over a few matrices that together exceed the near caches. */
async function passMs(backend: Backend, packing: TernaryPacking): Promise<number> {
  const owner = new BufferOwner(backend)
  try {
    const x = {
      q: owner.allocate(COLS, 'timed q'),
      scales: owner.allocate(4, 'timed scales'),
      sums: owner.allocate(4, 'timed sums'),
    }
    const out = owner.allocate(ROWS * 4, 'timed out')
    const shape = { packing, rows: ROWS, cols: COLS }
    const scales = owner.allocate(padToTile(ROWS) * 4, 'timed row scales')
    const commands = Array.from({ length: COPIES }, (): Command => {
      const data = owner.allocate(ternaryByteLength(shape), 'timed weights', 'weights')
      // Pages that were never written to all share one page of zeros, and are not read from memory.
      backend.map?.(data).fill(1)
      const weights: TernaryMatrix = { ...shape, data, scales }
      return { op: 'ternary-matmul', rows: 1, weights, x, out, accumulate: false }
    })
    const program = backend.record(commands)
    let best = Number.POSITIVE_INFINITY
    for (let pass = 0; pass < PASSES; pass++) {
      const began = performance.now()
      await backend.submit(program)
      best = Math.min(best, performance.now() - began)
    }
    program.dispose()
    return best
  } finally {
    await owner.disposeWhenIdle()
  }
}
