/**
 * Which packed layout ternary weights get in memory: 2 bits, or 1.6 bits where the processor unpacks
 * them faster than memory brings the fifth that they save.
 */

import type { Backend, Program } from '../../backends/backend.ts'
import { type TernaryMatrix, ternaryByteLength } from '../../kernels/matrices.ts'
import type { Command } from '../../kernels/ops.ts'
import type { TernaryPacking } from '../../kernels/storage.ts'
import { padToTile } from '../../ternary/index.ts'
import { BufferOwner } from '../buffer-owner.ts'

/** The variants with a quick product of the 1.6-bit layout. */
export const BASE3_ISAS: readonly string[] = ['x86-avx512vbmi', 'x86-amx']
/** Below this, weights lie in the caches of most processors, and bytes are not what matters. */
const SMALL_MODEL_WEIGHTS = 1 << 28
/** The matrix that is timed: 32 of them are 47 MB at 2 bits, which even a last cache hardly holds. */
const ROWS = 2304
const COLS = 2560
const COPIES = 32
/** Passes of each layout, in turn: what slows the machine down for a while slows both. */
const PASSES = 7
/** Up to so much slower, 1.6 bits are taken to be as fast: they need a fifth less memory. */
const TIE = 1.05

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
  return (await timeOfBase3(backend)) <= TIE ? 'base3' : '2bit'
}

/**
 * The time of a pass of a token over some matrices at 1.6 bits, as a share of that at 2 bits: the median
 * of several pairs, after one that is not counted.
 */
async function timeOfBase3(backend: Backend): Promise<number> {
  const owner = new BufferOwner(backend)
  const programs: Program[] = []
  try {
    programs.push(
      await recordPass(backend, owner, '2bit'),
      await recordPass(backend, owner, 'base3'),
    )
    const shares: number[] = []
    for (let pass = 0; pass <= PASSES; pass++) {
      const times: number[] = []
      for (const program of programs) {
        const began = performance.now()
        backend.submit(program)
        await backend.done()
        times.push(performance.now() - began)
      }
      if (pass > 0) shares.push(times[1] / times[0])
    }
    return shares.sort((a, b) => a - b)[PASSES >> 1]
  } finally {
    for (const program of programs) program.dispose()
    owner.dispose()
  }
}

/** One token's products with matrices that together exceed the caches. */
function recordPass(
  backend: Backend,
  owner: BufferOwner,
  packing: TernaryPacking,
): Promise<Program> {
  const x = {
    q: owner.allocate(COLS, 'timed q'),
    scales: owner.allocate(4, 'timed scales'),
    sums: owner.allocate(4, 'timed sums'),
  }
  const out = owner.allocate(ROWS * 4, 'timed out')
  const shape = { packing, rows: ROWS, cols: COLS }
  const scales = owner.allocate(padToTile(ROWS) * 4, 'timed row scales')
  return backend.record(
    Array.from({ length: COPIES }, (): Command => {
      const data = owner.allocate(ternaryByteLength(shape), 'timed weights', 'weights')
      // Pages that were never written to all share one page of zeros, and are not read from memory.
      backend.map?.(data).fill(1)
      const weights: TernaryMatrix = { ...shape, data, scales }
      return { op: 'ternary-matmul', rows: 1, weights, x, out, accumulate: false }
    }),
  )
}
