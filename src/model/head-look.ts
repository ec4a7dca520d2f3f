/**
 * The head once more as int8, so that draws need not compute all of its f16 logits: see head-draw. It takes half as
 * much memory again as the head, and is made when the first pass wants it.
 */

import { denseByteLength } from '../kernels/dense-matmul/layout.ts'
import { MAX_DRAWN_ROWS, MOST_LARGEST } from '../kernels/head-draw/op.ts'
import { boundFloats } from '../kernels/look-weights/op.ts'
import type { DenseMatrix } from '../kernels/matrices.ts'
import type { DeviceBuffer } from '../kernels/slice.ts'
import { padToTile } from '../ternary/index.ts'
import type { BufferOwner } from './buffer-owner.ts'
import type { MatmulPrecision } from './forward.ts'
import type { TokenDraw } from './token-draw.ts'

/** Kernel variants that multiply int8 four times as fast as floats. */
const QUICK = ['x86-avx512vnni', 'x86-avx512vbmi', 'x86-amx']

/** Rows of a pass from which a look is faster than all logits. */
const LEAST_ROWS = 8

/** Weights of a head up to which it is held twice. */
const MOST_WEIGHTS = 2 ** 26

/** What head-draw takes. */
export interface LookedHead {
  readonly weights: DenseMatrix
  readonly look: DenseMatrix
  readonly bounds: DeviceBuffer
}

export class HeadLook {
  readonly #owner: BufferOwner
  readonly #weights: DenseMatrix
  readonly #isPossible: boolean
  #made: Promise<LookedHead> | undefined

  constructor(owner: BufferOwner, weights: DenseMatrix, precision: MatmulPrecision) {
    this.#owner = owner
    this.#weights = weights
    const isSmall = weights.rows * weights.cols <= MOST_WEIGHTS
    const isQuick = QUICK.includes(owner.backend.isa)
    this.#isPossible = isQuick && isSmall && weights.type === 'f16' && precision === 'high'
  }

  /** Whether rows that are drawn so gain by it. */
  suits(draws: readonly TokenDraw[]): boolean {
    const { length } = draws
    if (!this.#isPossible || length < LEAST_ROWS || length > MAX_DRAWN_ROWS) return false
    return draws.every(({ settings: { temperature, topK, topP } }) => {
      if (temperature === 0) return true
      return topK === 0 ? topP === 1 : topK <= MOST_LARGEST
    })
  }

  /** The head, with what a pass that is submitted next may look at. */
  get(): Promise<LookedHead> {
    this.#made ??= this.#make()
    return this.#made
  }

  async #make(): Promise<LookedHead> {
    const { backend } = this.#owner
    const weights = this.#weights
    const { rows, cols } = weights
    const allocate = (bytes: number, label: string) => this.#owner.allocate(bytes, label, 'weights')
    const look: DenseMatrix = {
      type: 'int8',
      rows,
      cols,
      data: allocate(denseByteLength('int8', rows, cols), 'head to look at'),
      scales: allocate(padToTile(rows) * 4, 'scales of the head to look at'),
    }
    const bounds = allocate(boundFloats(rows) * 4, 'bounds of the head to look at')
    await backend.ready()
    const program = await backend.record([{ op: 'look-weights', rows, weights, look, bounds }])
    backend.submit(program)
    program.dispose()
    return { weights, look, bounds }
  }
}
