/**
 * Keys and values of all sequences of an engine: whose blocks are whose (sequence-book.ts) on a backend's
 * memory (cache-memory.ts).
 */
import type { Backend } from '../../backends/backend.ts'
import { UsageError } from '../../errors.ts'
import {
  ATTENTION_CHUNK,
  keyCacheByteLength,
  valueCacheByteLength,
} from '../../kernels/attention/layout.ts'
import type { CacheType } from '../../kernels/storage.ts'
import type { ModelConfig } from '../config/config.ts'
import type { CacheContent, CacheCopies, CopiedPositions, RowBatch } from '../engine.ts'
import { blocksOf, type GroupShape, leastBlocks } from './block-group.ts'
import { contentOf, copiedBlocks } from './cache-copy.ts'
import { type CacheBuffers, CacheMemory, type PlacedBlock, type Rotations } from './cache-memory.ts'
import { SequenceBook } from './sequence-book.ts'
import type { KnownPositions } from './shared-length.ts'

/** Sequences that may be open at a time. */
const MAX_SEQUENCES = 1024
/** What a cache may take if nobody says otherwise, where memory takes room at once; and of a machine's. */
const USUAL_BYTES = 2 ** 30
const SHARE_OF_MACHINE = 0.25
/** Blocks of a layer that are counted at most: a thousand million positions. */
const MOST_BLOCKS = 2 ** 22

/** Bytes that one position of one sequence takes in all layers. */
export function cacheBytesPerToken(config: ModelConfig, type: CacheType): number {
  return (config.nLayers * layerBlockBytes(config, type)) / ATTENTION_CHUNK
}

/** Bytes of a block in one layer: of its keys, and of its values. */
function blockBytesOf(
  { nKvHeads, headDim }: ModelConfig,
  type: CacheType,
): readonly [keys: number, values: number] {
  const block = { type, blocks: 1, nKvHeads, headDim }
  return [keyCacheByteLength(block), valueCacheByteLength(block)]
}

/** The same of both. */
function layerBlockBytes(config: ModelConfig, type: CacheType): number {
  const [keys, values] = blockBytesOf(config, type)
  return keys + values
}

/** Which group each layer is in: those that see everything, and those with a window. */
function layerGroups({ nLayers, localAttention: local }: ModelConfig): {
  windows: (number | undefined)[]
  groupOf: number[]
} {
  const isLocal = Array.from({ length: nLayers }, (_, i) => local?.layers.includes(i) ?? false)
  const windows = [
    ...(isLocal.includes(false) ? [undefined] : []),
    ...(isLocal.includes(true) ? [local?.window] : []),
  ]
  return { windows, groupOf: isLocal.map((own) => (own ? windows.length - 1 : 0)) }
}

export interface CacheFacts {
  readonly backend: Backend
  readonly config: ModelConfig
  readonly type: CacheType
  readonly maxRows: number
  readonly rotations: Rotations
  readonly localRotations: Rotations | undefined
  /** Called when recordings of passes must go. */
  readonly onChange: () => void
}

/** Memory of a cache. */
export interface CacheBytes {
  /** Unset: 1 GiB, or a quarter of the machine's; or what one sequence as long as the context takes. */
  readonly most?: number | undefined
  /** All that the machine has, where that is known. */
  readonly machineMemory?: number | undefined
}

/** How many sequences there may be, of how many positions, on how many blocks. */
interface Size {
  readonly maxSequences: number
  readonly contextLength: number
  readonly groups: readonly GroupShape[]
}

export class DecoderCache extends SequenceBook implements CacheCopies {
  readonly content: CacheContent
  readonly #groupOf: readonly number[]
  readonly #memory: CacheMemory
  readonly #onChange: () => void
  #isDisposed = false

  private constructor(facts: CacheFacts, size: Size, groupOf: readonly number[]) {
    super({ ...size, maxRows: facts.maxRows })
    this.content = contentOf(facts.config, facts.type)
    this.#groupOf = groupOf
    this.#onChange = facts.onChange
    this.#memory = new CacheMemory({ ...facts, ...size, groupOf })
  }

  /**
   * One for all sequences of an engine.
   *
   * @throws UsageError if it may take more than the machine has
   */
  static open(facts: CacheFacts, { most, machineMemory }: CacheBytes = {}): DecoderCache {
    const { config, type, maxRows } = facts
    const { windows, groupOf } = layerGroups(config)
    const { contextLength } = config
    const layers = windows.map((_, group) => groupOf.filter((own) => own === group).length)
    const whole = blocksOf(contextLength)
    const blockBytes = layerBlockBytes(config, type)
    // Sequences are longer than a window: half as many blocks of layers with one are plenty.
    const shares = windows.map((window) => (window === undefined || windows.length === 1 ? 1 : 0.5))
    const perBlock =
      layers.reduce((sum, count, group) => sum + count * shares[group], 0) * blockBytes
    const isLazy = facts.backend.commitsOnUse && machineMemory !== undefined
    if (isLazy && most !== undefined && most > machineMemory) {
      const mebibytes = (bytes: number) => Math.floor(bytes / 2 ** 20)
      throw new UsageError(
        `Expected cacheMemory to be at most what this machine has, ${mebibytes(machineMemory)} MiB, got ` +
          `${mebibytes(most)} MiB.`,
      )
    }
    const usual = isLazy ? machineMemory * SHARE_OF_MACHINE : USUAL_BYTES
    const affordable = Math.min(MOST_BLOCKS, Math.floor((most ?? usual) / perBlock))
    const wanted = most === undefined ? Math.max(affordable, whole) : affordable
    // Contexts end where a layer's keys could no longer be bound.
    const { largestOperand = Infinity } = facts.backend
    const bindable = Math.floor(largestOperand / Math.max(...blockBytesOf(config, type)))
    const blocks = Math.max(1, Math.min(wanted, bindable))
    const groups = windows.map((window, group) => ({
      window,
      blocks: Math.max(
        Math.ceil(blocks * shares[group]),
        Math.min(blocks, leastBlocks(window, maxRows)),
      ),
    }))
    return new DecoderCache(facts, { maxSequences: MAX_SEQUENCES, contextLength, groups }, groupOf)
  }

  get byteLength(): number {
    return this.#memory.byteLength
  }

  /** What a recording reads and writes; good until `onChange`. */
  get buffers(): CacheBuffers {
    return this.#memory.buffers
  }

  override check(batch: RowBatch): void {
    if (this.#isDisposed) throw new UsageError('This cache was disposed, with its engine.')
    super.check(batch)
  }

  /** Sees to it that what a batch reads and writes is there. */
  async ready(batch: RowBatch): Promise<void> {
    this.prepare(batch)
    await this.#makeRoom()
    await this.#bring()
  }

  /** The same within the memory that there is. @returns false where it would need more */
  async readyWithin(batch: RowBatch): Promise<boolean> {
    this.prepare(batch)
    if (!this.#memory.has(this.#need())) return false
    await this.#bring()
    return true
  }

  /** Writes what has changed of sequences, and copies blocks. */
  async #bring(): Promise<void> {
    for (const slot of this.changed) {
      this.#memory.writeHistory(slot, this.computed(slot))
      for (const { index } of this.groups) {
        this.#memory.writeTable(index, slot, this.blocks(slot, index))
      }
    }
    for (const copy of this.copies) await this.#memory.copy(copy)
    this.settle()
  }

  byteLengthOf(positions: number): number {
    const last = this.#copied(positions).at(-1)
    return last === undefined ? 0 : last.byteOffset + last.byteLength
  }

  copyOut(tokens: ArrayLike<number>): Promise<CopiedPositions> {
    return this.#copy(this.known(tokens))
  }

  copyOf(slot: number): Promise<CopiedPositions> {
    return this.#copy(this.knownOf(slot))
  }

  async #copy({ length, blockOf }: KnownPositions): Promise<CopiedPositions> {
    const bytes = new Uint8Array(this.byteLengthOf(length))
    await this.#memory.copyOut(this.#placed(length, blockOf), bytes)
    return { length, bytes }
  }

  async copyIn(tokens: ArrayLike<number>, bytes: Uint8Array): Promise<boolean> {
    const opened = this.open([], tokens.length)
    if (opened === undefined) return false
    const { slot } = opened
    this.assumeComputed(slot, tokens)
    try {
      await this.#makeRoom()
      const blockOf = (group: number, index: number) => this.blocks(slot, group)[index]
      await this.#memory.copyIn(this.#placed(tokens.length, blockOf), bytes)
    } catch (error) {
      this.close(slot, [])
      throw error
    }
    this.close(slot, tokens)
    return true
  }

  #placed(positions: number, blockOf: KnownPositions['blockOf']): PlacedBlock[] {
    return this.#copied(positions).map((copied) => ({
      ...copied,
      block: blockOf(this.#groupOf[copied.layer], copied.index),
    }))
  }

  #copied(positions: number) {
    const shape = { ...this.content, blocks: 1 }
    return copiedBlocks(shape, this.#groupOf, this.groups, positions)
  }

  /** Sees to it that there is memory for all that sequences have; what is recorded goes where it moves. */
  async #makeRoom(): Promise<void> {
    const need = this.#need()
    if (this.#memory.has(need)) return
    await this.#memory.grow(need)
    this.changeAll()
    this.#onChange()
  }

  #need() {
    return {
      blocks: this.groups.map(({ pool }) => ({
        touched: pool.touched,
        most: pool.size,
      })),
      sequences: this.touchedSlots,
      positions: this.reach,
      mostPositions: this.capacity,
    }
  }

  dispose(): void {
    if (this.#isDisposed) return
    this.#isDisposed = true
    this.#onChange()
    this.#memory.dispose()
  }
}

/** @throws UsageError unless it is a whole number from 0 to `count` - 1 */
export function checkIndex(value: number, count: number, what: string): void {
  if (Number.isInteger(value) && value >= 0 && value < count) return
  throw new UsageError(`Expected ${what} from 0 to ${count - 1}, got ${value}.`)
}
