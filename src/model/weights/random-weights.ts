/**
 * Weights of any shape without a file: random numbers in the precision asked for, packed by the backend
 * as those of a file are. Speed and memory do not depend on what the numbers are, as long as they are
 * of a size that keeps activations near 1; text from them has no meaning.
 */

import type { Backend } from '../../backends/backend.ts'
import { float32ToFloat16 } from '../../kernels/float16.ts'
import type { DenseType, TernaryPacking } from '../../kernels/storage.ts'
import { padToTile } from '../../ternary/index.ts'
import { BufferOwner, bytesOf } from '../buffer-owner.ts'
import type { ModelConfig } from '../config/config.ts'
import type { DecoderWeights } from '../forward.ts'
import { type Part, partsOf, stackShape } from '../layers.ts'
import { buildWeightsInTurn, type WeightForms } from './build-weights.ts'
import { ternaryForm } from './ffn-order.ts'
import { denseWriter, ternaryWriter } from './matrix-writer.ts'

/** Ternary codes, binary ones (-1 and +1 in the same layout: b1), or a dense type. */
export type ProjectionType = 'ternary' | 'binary' | DenseType

export interface RandomWeightOptions {
  readonly projections: ProjectionType
  /** Of embedding and head, which are two matrices. */
  readonly table: DenseType
  readonly packing: TernaryPacking
  /** Whether the feed-forward leaves out what is 0; see ffn-order.ts. Unset: no. */
  readonly isSparse?: boolean | undefined
  /**
   * Share of the feed-forward's gates that are not positive, whatever the input: from 0.5 to 1, of ternary
   * projections. Unset: about half of them, as chance has it.
   */
  readonly ffnSparsity?: number | undefined
  /** Told of the layers that are done. */
  readonly onLayer?: ((done: number, all: number) => void) | undefined
  readonly signal?: AbortSignal | undefined
}

export interface RandomWeights extends DecoderWeights {
  readonly byteLength: number
  dispose(): void
}

/**
 * Random numbers are drawn once and copied from, at a place that moves on: a prime, so that rows do not
 * repeat each other.
 */
const POOL_LENGTH = 65_537

/**
 * @param config its `linear` is to be 'ternary' for ternary and binary projections
 * @throws the signal's reason, or what the backend throws without memory; nothing stays allocated then
 */
export async function randomWeights(
  backend: Backend,
  config: ModelConfig,
  options: RandomWeightOptions,
): Promise<RandomWeights> {
  const owner = new BufferOwner(backend)
  const { projections, ffnSparsity, signal } = options
  const kind = projections === 'binary' ? 'binary' : 'ternary'
  const codes = codePool(kind)
  const halves = new Map<number, Pool>()
  try {
    const weights = await buildWeightsInTurn(
      partsOf(config),
      chosenForms(options),
      {
        async dense(parts, type, label) {
          const { rows, cols } = stackShape(parts)
          const writer = denseWriter(owner, { type, rows, cols }, label)
          const pool = halves.get(cols) ?? halfPool(cols)
          halves.set(cols, pool)
          const all = { rows, cols, interleavedHeadDim: 0 }
          for await (const { room } of writer.pieces(all, 'f16', signal)) pool.fill(await room())
          return await writer.finish()
        },
        async ternary(parts, form, label) {
          const { rows, cols } = stackShape(parts)
          const writer = ternaryWriter(owner, { ...form, rows, cols }, label)
          const all = { rows, cols, interleavedHeadDim: 0 }
          const gates = parts[0].stack === 'gateUp' ? parts[0].rows : 0
          for await (const { row, count, room } of writer.pieces(all, 'int8', signal)) {
            const target = await room()
            codes.fill(target)
            if (ffnSparsity === undefined) continue
            for (let at = row; at < Math.min(row + count, gates); at += 2) {
              closeGates(
                target.subarray((at - row) * cols, (at - row + 2) * cols),
                at / 2,
                ffnSparsity,
              )
            }
          }
          // Codes times this keep the size of what they are multiplied with.
          const scale = 1 / Math.sqrt(kind === 'ternary' ? (cols * 2) / 3 : cols)
          return await writer.finish(new Float32Array(padToTile(rows)).fill(scale, 0, rows))
        },
        async norm({ rows }) {
          const buffer = owner.allocate(rows * 4, 'norm')
          backend.write(buffer, 0, bytesOf(new Float32Array(rows).fill(1)))
          return buffer
        },
      },
      (done) => options.onLayer?.(done, config.nLayers),
    )
    await backend.ready()
    return { ...weights, byteLength: owner.byteLength, dispose: () => owner.dispose() }
  } catch (error) {
    owner.dispose()
    throw error
  }
}

/** How options say that matrices are held, whatever numbers are in them. */
export function chosenForms({
  projections,
  table,
  packing,
  isSparse = false,
}: Pick<RandomWeightOptions, 'projections' | 'table' | 'packing' | 'isSparse'>): WeightForms<Part> {
  const isTernary = projections === 'ternary' || projections === 'binary'
  return {
    table: () => table,
    linear: ([{ stack }]) => (isTernary ? ternaryForm(stack, packing, isSparse) : projections),
  }
}

/**
 * Makes two rows of gates opposites, of which exactly one is positive (but where their sum is 0), or both zero,
 * as many of the pairs as it takes. Pieces are of whole stripes, and a pair lies in one.
 *
 * @param codes (2, cols)
 */
function closeGates(codes: Int8Array, pair: number, share: number): void {
  const zeros = 2 * share - 1
  if (Math.floor((pair + 1) * zeros) > Math.floor(pair * zeros)) {
    codes.fill(0)
    return
  }
  const half = codes.length / 2
  for (let i = 0; i < half; i++) codes[half + i] = -codes[i]
}

function codePool(kind: 'ternary' | 'binary'): Pool {
  const draw = generator()
  const code = kind === 'ternary' ? () => (draw() % 3) - 1 : () => (draw() % 2) * 2 - 1
  return new Pool(Int8Array.from({ length: POOL_LENGTH }, code))
}

/** Uniform halves of variance 1 / cols. */
function halfPool(cols: number): Pool {
  const draw = generator()
  const most = Math.sqrt(3 / cols)
  const half = () => float32ToFloat16((draw() / 2 ** 15 - 1) * most)
  return new Pool(Uint16Array.from({ length: POOL_LENGTH }, half))
}

class Pool {
  readonly #values: Int8Array | Uint16Array
  #at = 0

  constructor(values: Int8Array | Uint16Array) {
    this.#values = values
  }

  fill(target: Int8Array | Uint16Array): void {
    for (let at = 0; at < target.length; ) {
      const count = Math.min(this.#values.length - this.#at, target.length - at)
      target.set(this.#values.subarray(this.#at, this.#at + count), at)
      at += count
      this.#at = (this.#at + count) % this.#values.length
    }
  }
}

/** 16 random bits a call, the same ones every time: Numerical Recipes' linear congruential step. */
function generator(): () => number {
  let state = 1
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return state >>> 16
  }
}
