/**
 * Weights of any shape without a file: random numbers in the precision asked for, packed by the backend
 * as those of a file are. Speed and memory do not depend on what the numbers are, as long as they are
 * of a size that keeps activations near 1; text from them has no meaning.
 */
import type { Backend } from '../../backends/backend.ts'
import type { DenseType, TernaryPacking } from '../../kernels/commands.ts'
import { float32ToFloat16 } from '../../kernels/float16.ts'
import type { DeviceBuffer } from '../../kernels/slice.ts'
import { BufferOwner, bytesOf } from '../buffer-owner.ts'
import type { ModelConfig } from '../config/config.ts'
import type { DecoderWeights, LayerWeights, LinearWeights } from '../forward.ts'
import { DenseMatrixWriter, TernaryMatrixWriter } from './matrix-writer.ts'
import { chunkRows } from './weight-loading.ts'

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
  const { dim, nHeads, nKvHeads, headDim, ffnDim, nLayers, vocabSize, subNorms } = config
  const owner = new BufferOwner(backend)
  const pools = new Pools()
  const mixedDim = nHeads * headDim
  const dense = (type: DenseType, rows: number, cols: number, label: string) =>
    randomDense(owner, pools, { type, rows, cols, label, signal: options.signal })
  const linear = async (rows: number, cols: number, label: string): Promise<LinearWeights> => {
    const { projections } = options
    if (projections !== 'ternary' && projections !== 'binary') {
      return { kind: 'dense', matrix: await dense(projections, rows, cols, label) }
    }
    const writer = new TernaryMatrixWriter(owner, { packing: options.packing, rows, cols }, label)
    const pool = pools.codes(projections)
    // Codes times this keep the size of what they are multiplied with.
    const scale = 1 / Math.sqrt(projections === 'ternary' ? (cols * 2) / 3 : cols)
    for (let row = 0, step = chunkRows(rows, cols, 0); row < rows; row += step) {
      options.signal?.throwIfAborted()
      const count = Math.min(step, rows - row)
      pool.fill(await writer.room(count))
      writer.commit(count, scale)
    }
    return { kind: 'ternary', matrix: await writer.finish() }
  }
  const ones = (length: number): DeviceBuffer => {
    const buffer = owner.allocate(length * 4, 'norm')
    backend.write(buffer, 0, bytesOf(new Float32Array(length).fill(1)))
    return buffer
  }
  try {
    const embedding = await dense(options.table, vocabSize, dim, 'embedding')
    const layers: LayerWeights[] = []
    for (let i = 0; i < nLayers; i++) {
      layers.push({
        attentionNorm: ones(dim),
        qkv: await linear((nHeads + 2 * nKvHeads) * headDim, dim, `layer ${i} qkv`),
        attentionSubNorm: subNorms ? ones(mixedDim) : undefined,
        output: await linear(dim, mixedDim, `layer ${i} output`),
        ffnNorm: ones(dim),
        gateUp: await linear(2 * ffnDim, dim, `layer ${i} gate and up`),
        ffnSubNorm: subNorms ? ones(ffnDim) : undefined,
        down: await linear(dim, ffnDim, `layer ${i} down`),
      })
      options.onLayer?.(i + 1, nLayers)
    }
    const finalNorm = ones(dim)
    const head = await dense(options.table, vocabSize, dim, 'head')
    const dispose = () => owner.dispose()
    return { embedding, layers, finalNorm, head, byteLength: owner.byteLength, dispose }
  } catch (error) {
    await owner.disposeWhenIdle()
    throw error
  }
}

interface DensePart {
  readonly type: DenseType
  readonly rows: number
  readonly cols: number
  readonly label: string
  readonly signal: AbortSignal | undefined
}

async function randomDense(
  owner: BufferOwner,
  pools: Pools,
  { type, rows, cols, label, signal }: DensePart,
) {
  const writer = new DenseMatrixWriter(owner, type, rows, cols, label)
  const pool = pools.halves(cols)
  for (let row = 0, step = chunkRows(rows, cols, 0); row < rows; row += step) {
    signal?.throwIfAborted()
    const count = Math.min(step, rows - row)
    pool.fill(await writer.room(count, 'f16'))
    writer.commit(count)
  }
  return await writer.finish()
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
