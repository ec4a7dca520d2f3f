/**
 * Weights of any shape without a file: random numbers in the precision asked for, packed by the backend
 * as those of a file are. Speed and memory do not depend on what the numbers are, as long as they are
 * of a size that keeps activations near 1; text from them has no meaning.
 */

import type { Backend } from '../../backends/backend.ts'
import { float32ToFloat16 } from '../../kernels/float16.ts'
import type { DenseType, TernaryPacking } from '../../kernels/storage.ts'
import { BufferOwner, bytesOf } from '../buffer-owner.ts'
import type { ModelConfig } from '../config/config.ts'
import type { DecoderWeights } from '../forward.ts'
import { type Part, partsOf, stackShape } from '../layers.ts'
import { buildWeightsInTurn, type WeightForms } from './build-weights.ts'
import { DenseMatrixWriter, TernaryMatrixWriter } from './matrix-writer.ts'
import { rowChunks } from './weight-loading.ts'

/** Ternary codes, binary ones (-1 and +1 in the same layout: b1), or a dense type. */
export type ProjectionType = 'ternary' | 'binary' | DenseType

export interface RandomWeightOptions {
  readonly projections: ProjectionType
  /** Of embedding and head, which are two matrices. */
  readonly table: DenseType
  readonly packing: TernaryPacking
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
  const pools = new Pools()
  const { projections, signal } = options
  try {
    const weights = await buildWeightsInTurn(
      partsOf(config),
      chosenForms(options),
      {
        async dense(parts, type, label) {
          const { rows, cols } = stackShape(parts)
          const writer = new DenseMatrixWriter(owner, { type, rows, cols }, label)
          const pool = pools.halves(cols)
          for (const { count } of rowChunks(rows, cols, 0, signal)) {
            pool.fill(await writer.room(count, 'f16'))
            await writer.commit(count)
          }
          return await writer.finish()
        },
        async ternary(parts, packing, label) {
          const { rows, cols } = stackShape(parts)
          const writer = new TernaryMatrixWriter(owner, { packing, rows, cols }, label)
          const kind = projections === 'binary' ? 'binary' : 'ternary'
          const pool = pools.codes(kind)
          // Codes times this keep the size of what they are multiplied with.
          const scale = 1 / Math.sqrt(kind === 'ternary' ? (cols * 2) / 3 : cols)
          for (const { count } of rowChunks(rows, cols, 0, signal)) {
            pool.fill(await writer.room(count))
            await writer.commit(count, scale)
          }
          return await writer.finish()
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
}: Pick<RandomWeightOptions, 'projections' | 'table' | 'packing'>): WeightForms<Part> {
  const isTernary = projections === 'ternary' || projections === 'binary'
  return { table: () => table, linear: () => (isTernary ? { packing } : projections) }
}

/** Each kind of numbers once, made when it is first wanted. */
class Pools {
  readonly #codes = new Map<'ternary' | 'binary', Pool<Int8Array>>()
  readonly #halves = new Map<number, Pool<Uint16Array>>()

  codes(kind: 'ternary' | 'binary'): Pool<Int8Array> {
    return remembered(this.#codes, kind, () => {
      const draw = generator()
      const code = kind === 'ternary' ? () => (draw() % 3) - 1 : () => (draw() % 2) * 2 - 1
      return new Pool(Int8Array.from({ length: POOL_LENGTH }, code))
    })
  }

  /** Uniform halves of variance 1 / cols. */
  halves(cols: number): Pool<Uint16Array> {
    return remembered(this.#halves, cols, () => {
      const draw = generator()
      const most = Math.sqrt(3 / cols)
      const half = () => float32ToFloat16((draw() / 2 ** 15 - 1) * most)
      return new Pool(Uint16Array.from({ length: POOL_LENGTH }, half))
    })
  }
}

class Pool<T extends Int8Array | Uint16Array> {
  readonly #values: T
  #at = 0

  constructor(values: T) {
    this.#values = values
  }

  fill(target: ArrayBufferView & { set(values: ArrayLike<number>, at: number): void }): void {
    const length = target.byteLength / this.#values.BYTES_PER_ELEMENT
    for (let at = 0; at < length; ) {
      const count = Math.min(this.#values.length - this.#at, length - at)
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

function remembered<K, V>(map: Map<K, V>, key: K, make: () => V): V {
  const found = map.get(key) ?? make()
  map.set(key, found)
  return found
}
