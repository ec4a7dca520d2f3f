/**
 * Which packed layout ternary weights get in memory: 2 bits, or 1.6 bits where the processor unpacks
 * them faster than memory brings the fifth that they save, and prompts do not pay for it.
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
/** The matrices that are timed. */
const ROWS = 2304
const COLS = 2560
/**
 * Weights that a token is timed with: as many as the model has, up to 236 MB at 2 bits. The two layouts take
 * turns, so that caches of up to twice that hold neither.
 */
const MOST_TOKEN_WEIGHTS = 160 * ROWS * COLS
/** A prompt's rows, and how many matrices they meet: arithmetic rules, and memory hardly counts. */
const PROMPT_ROWS = 64
const PROMPT_COPIES = 2
/** Passes of each layout, in turn: what slows the machine down for a while slows both. */
const PASSES = 7
/** Up to so much slower, 1.6 bits are taken to be as fast: they need a fifth less memory. */
const TIE = 1.05

/**
 * Whether 1.6 bits are taken, by their times as shares of those at 2 bits: with a prompt, and with a token.
 */
export function takesBase3(prompt: number, token: number): boolean {
  return prompt <= TIE && token <= TIE
}

/**
 * @param asked what the caller wants; 'auto' times both layouts, with a token and with a prompt, where there
 *   is a choice
 * @param weights ternary weights of the model
 */
export async function choosePacking(
  backend: Backend,
  asked: 'auto' | TernaryPacking,
  weights: number,
): Promise<TernaryPacking> {
  if (asked !== 'auto') return asked
  if (!BASE3_ISAS.includes(backend.isa) || weights < SMALL_MODEL_WEIGHTS) return '2bit'
  // The cheaper look first: AMX multiplies prompts of 1.6 bits at less than half of its speed.
  const prompt = { rows: PROMPT_ROWS, copies: PROMPT_COPIES }
  const ofPrompt = await timeOfBase3(backend, prompt)
  if (!takesBase3(ofPrompt, 0)) return '2bit'
  const copies = Math.ceil(Math.min(weights, MOST_TOKEN_WEIGHTS) / (ROWS * COLS))
  const ofToken = await timeOfBase3(backend, { rows: 1, copies })
  return takesBase3(ofPrompt, ofToken) ? 'base3' : '2bit'
}

/** Rows of input, and the matrices that they are multiplied by. */
interface Work {
  readonly rows: number
  readonly copies: number
}

/**
 * The time of a pass over some matrices at 1.6 bits, as a share of that at 2 bits: the median of several
 * pairs, after one that is not counted.
 */
async function timeOfBase3(backend: Backend, work: Work): Promise<number> {
  const owner = new BufferOwner(backend)
  const programs: Program[] = []
  try {
    programs.push(
      await recordPass(backend, owner, work, '2bit'),
      await recordPass(backend, owner, work, 'base3'),
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

function recordPass(
  backend: Backend,
  owner: BufferOwner,
  { rows, copies }: Work,
  packing: TernaryPacking,
): Promise<Program> {
  const x = {
    q: owner.allocate(rows * COLS, 'timed q'),
    scales: owner.allocate(rows * 4, 'timed scales'),
    sums: owner.allocate(rows * 4, 'timed sums'),
  }
  const out = owner.allocate(rows * ROWS * 4, 'timed out')
  const shape = { packing, rows: ROWS, cols: COLS }
  const scales = owner.allocate(padToTile(ROWS) * 4, 'timed row scales')
  return backend.record(
    Array.from({ length: copies }, (): Command => {
      const data = owner.allocate(ternaryByteLength(shape), 'timed weights', 'weights')
      // Pages that were never written to all share one page of zeros, and are not read from memory.
      backend.map?.(data).fill(1)
      const weights: TernaryMatrix = { ...shape, data, scales }
      return { op: 'ternary-matmul', rows, weights, x, out, accumulate: false }
    }),
  )
}
