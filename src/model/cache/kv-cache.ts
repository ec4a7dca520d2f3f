/**
 * Keys and values of some sequences in a backend's memory, and how far each sequence has come.
 */

import type { Backend } from '../../backends/backend.ts'
import { checkCounting } from '../../checks.ts'
import { ContextOverflowError, UsageError } from '../../errors.ts'
import { BLOCK, keyCacheByteLength, valueCacheByteLength } from '../../kernels/attention/layout.ts'
import type { LayerCache } from '../../kernels/matrices.ts'
import type { DeviceBuffer } from '../../kernels/slice.ts'
import { stepColumns } from '../../kernels/step.ts'
import type { CacheType } from '../../kernels/storage.ts'
import { padToTile } from '../../ternary/index.ts'
import { BufferOwner } from '../buffer-owner.ts'
import type { ModelConfig } from '../config/config.ts'
import type { KvCache, RowBatch } from '../engine.ts'

/** More sequences than any one pass has rows for. */
const MAX_SLOTS = 4096

/** Bytes that one position of one sequence takes in all layers. */
export function cacheBytesPerToken(config: ModelConfig, type: CacheType): number {
  const { nLayers, nKvHeads, headDim } = config
  const block = { type, slots: 1, capacity: BLOCK, nKvHeads, headDim }
  return (nLayers * (keyCacheByteLength(block) + valueCacheByteLength(block))) / BLOCK
}

export class DecoderCache implements KvCache {
  readonly slots: number
  /** A multiple of 16, as kernels write whole groups. */
  readonly capacity: number
  readonly layers: readonly LayerCache[]
  readonly rotations: DeviceBuffer
  /** For layers with a window. */
  readonly localRotations: DeviceBuffer | undefined
  /** Of keys and values. */
  readonly byteLength: number
  readonly #owner: BufferOwner
  readonly #vocabSize: number
  #step: DeviceBuffer | undefined
  readonly #onDispose: (cache: DecoderCache) => void
  /** Positions computed so far, per slot. */
  readonly #filled: Int32Array
  #isDisposed = false

  constructor(facts: {
    backend: Backend
    config: ModelConfig
    type: CacheType
    slots: number
    capacity: number
    rotations: DeviceBuffer
    localRotations: DeviceBuffer | undefined
    onDispose: (cache: DecoderCache) => void
  }) {
    const { nKvHeads, headDim, nLayers } = facts.config
    const slots = facts.slots
    const capacity = padToTile(facts.capacity)
    const shape = { type: facts.type, slots, capacity, nKvHeads, headDim }
    this.slots = slots
    this.capacity = capacity
    this.rotations = facts.rotations
    this.localRotations = facts.localRotations
    this.#filled = new Int32Array(slots)
    this.#onDispose = facts.onDispose
    this.#vocabSize = facts.config.vocabSize
    this.#owner = new BufferOwner(facts.backend)
    try {
      this.layers = Array.from({ length: nLayers }, (_, i) => ({
        ...shape,
        keys: this.#owner.allocate(keyCacheByteLength(shape), `layer ${i} keys`),
        values: this.#owner.allocate(valueCacheByteLength(shape), `layer ${i} values`),
      }))
      this.byteLength = this.#owner.byteLength
    } catch (error) {
      this.#owner.dispose()
      throw error
    }
  }

  /** Step entries of up to `rows` rows, which name only what this cache holds; made for the first pass. */
  step(rows: number): DeviceBuffer {
    const { slots, capacity } = this
    const columns = stepColumns({ tokens: this.#vocabSize, slots, positions: capacity })
    this.#step ??= this.#owner.allocateIndices(rows, columns, 'step')
    return this.#step
  }

  /**
   * Checks that rows fit, and that no row looks back on a position that was never computed.
   *
   * @throws ContextOverflowError | UsageError
   */
  check(batch: RowBatch): void {
    if (this.#isDisposed) throw new UsageError('This KV cache was disposed. Create a new one.')
    const reached = new Map<number, number>()
    for (let i = 0; i < batch.tokens.length; i++) {
      const slot = batch.slots[i]
      const position = batch.positions[i]
      checkIndex(slot, this.slots, 'a slot')
      if (!Number.isInteger(position) || position < 0) {
        throw new UsageError(`Expected a position from 0 on, got ${position}.`)
      }
      if (position >= this.capacity) {
        throw new ContextOverflowError(
          `Expected positions below ${this.capacity}, which is what the KV cache holds, got ` +
            `${position}. Shorten the prompt or ask for fewer tokens.`,
          { needed: position + 1, available: this.capacity },
        )
      }
      const before = reached.get(slot)
      const isNext = before === undefined ? position <= this.#filled[slot] : position === before + 1
      if (!isNext) {
        const expected = before === undefined ? `at most ${this.#filled[slot]}` : `${before + 1}`
        throw new UsageError(
          `Expected position ${expected} for the next row of slot ${slot}, got ${position}. ` +
            'Rows of a sequence follow each other without gaps.',
        )
      }
      reached.set(slot, position)
    }
  }

  /** Remembers a batch that was computed. */
  advance(batch: RowBatch): void {
    for (let i = 0; i < batch.tokens.length; i++) {
      const slot = batch.slots[i]
      this.#filled[slot] = Math.max(this.#filled[slot], batch.positions[i] + 1)
    }
  }

  /** Takes the first positions of every slot for computed: whoever measures has filled them. */
  assumeComputed(positions: number): void {
    this.#filled.fill(positions)
  }

  dispose(): void {
    if (this.#isDisposed) return
    this.#isDisposed = true
    this.#onDispose(this)
    this.#owner.dispose()
  }
}

/** @throws UsageError unless it is a whole number from 0 to `count` - 1 */
export function checkIndex(value: number, count: number, what: string): void {
  if (Number.isInteger(value) && value >= 0 && value < count) return
  throw new UsageError(`Expected ${what} from 0 to ${count - 1}, got ${value}.`)
}

/** @throws UsageError | ContextOverflowError */
export function checkCacheOptions(
  config: ModelConfig,
  options: { slots: number; capacity: number },
): void {
  const { slots, capacity } = options
  checkCounting('slots', slots, MAX_SLOTS)
  checkCounting('capacity', capacity)
  const available = padToTile(config.contextLength)
  if (capacity > available) {
    throw new ContextOverflowError(
      `Expected a capacity of at most ${available} positions, the context of ${config.name}, got ` +
        `${capacity}. Shorten the prompt or ask for fewer tokens.`,
      { needed: capacity, available },
    )
  }
}
