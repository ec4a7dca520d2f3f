/**
 * A cache's memory on a backend: blocks of keys and values for each layer, the tables that say whose they
 * are, and the step buffer, whose limits are those of the tables. All of it grows as it is needed, and
 * recordings of passes are good until then.
 */
import type { Backend, Program } from '../../backends/backend.ts'
import {
  ATTENTION_CHUNK,
  keyCacheByteLength,
  valueCacheByteLength,
} from '../../kernels/attention/layout.ts'
import { blockPairColumns } from '../../kernels/copy-blocks/reference.ts'
import { type BlockTable, blockColumns, type LayerCache } from '../../kernels/matrices.ts'
import { type BufferSlice, type DeviceBuffer, sliceOf } from '../../kernels/slice.ts'
import { stepColumns } from '../../kernels/step.ts'
import type { CacheType } from '../../kernels/storage.ts'
import { BufferOwner, bytesOf } from '../buffer-owner.ts'
import type { ModelConfig } from '../config/config.ts'
import type { BlockCopy } from './block-copies.ts'
import { blocksOf } from './block-group.ts'
import { type CopiedBlock, copyPositions, partBytes } from './cache-copy.ts'

/** Positions that there is room for at first. */
const FIRST_POSITIONS = 1024
/** Sequences that there is room for at first: their tokens and tables take memory whether or not they are open. */
const FIRST_SEQUENCES = 16
/** Blocks of each layer at first, where memory takes room before it is used. */
const FIRST_BLOCKS = 8

/** What a pass reads and writes of a cache. */
export interface CacheBuffers {
  /** One of each layer. */
  readonly layers: readonly LayerCache[]
  /** Where sequences are in it. */
  readonly tables: readonly BlockTable[]
  /** Step entries of a pass. */
  readonly step: DeviceBuffer
  /** Those of its rows that something is wanted of. */
  readonly wantedStep: DeviceBuffer
  /** The tokens of each sequence by position, (sequences, capacity) int32: what penalties look back at. */
  readonly history: DeviceBuffer
  readonly capacity: number
  readonly rotations: DeviceBuffer
  /** For layers with a window. */
  readonly localRotations: DeviceBuffer | undefined
}

/** Tables of rotations of at least so many positions. */
export type Rotations = (positions: number) => DeviceBuffer

export interface MemoryFacts {
  readonly backend: Backend
  readonly config: ModelConfig
  readonly type: CacheType
  /** Rows of a pass. */
  readonly maxRows: number
  readonly maxSequences: number
  /** The group of each layer. */
  readonly groupOf: readonly number[]
  readonly rotations: Rotations
  readonly localRotations: Rotations | undefined
}

/** What must be had, of each group and of each sequence. */
export interface Need {
  /** Blocks with lower numbers than this, and how many there may ever be. */
  readonly blocks: readonly { readonly touched: number; readonly most: number }[]
  /** Sequences with lower slots than this. */
  readonly sequences: number
  /** Positions of a sequence, and most that there may ever be. */
  readonly positions: number
  readonly mostPositions: number
}

/** A block of the cache that leaves it, or comes. */
export interface PlacedBlock extends CopiedBlock {
  readonly block: number
}

interface Layer {
  keys: DeviceBuffer
  values: DeviceBuffer
}

export class CacheMemory {
  readonly #facts: MemoryFacts
  readonly #owner: BufferOwner
  /** Blocks of each group. */
  #blocks: readonly number[]
  #slots = 0
  #columns = 0
  #layers: Layer[] = []
  #buffers: CacheBuffers | undefined
  #tables: DeviceBuffer[] = []
  /** Of each group: pairs to copy, and the recording that does it in all its layers. */
  #copies: ({ readonly pairs: DeviceBuffer; readonly program: Program } | undefined)[] = []

  constructor(facts: MemoryFacts) {
    this.#facts = facts
    this.#owner = new BufferOwner(facts.backend)
    this.#blocks = Array(Math.max(...facts.groupOf) + 1).fill(0)
  }

  /** Of keys and values. */
  get byteLength(): number {
    return this.#layers.reduce(
      (sum, { keys, values }) => sum + keys.byteLength + values.byteLength,
      0,
    )
  }

  get buffers(): CacheBuffers {
    if (this.#buffers === undefined) throw new Error('There is no memory for a cache yet.')
    return this.#buffers
  }

  /** Whether all of it is there, so that recordings stay good. */
  has({ blocks, sequences, positions }: Need): boolean {
    return (
      this.#buffers !== undefined &&
      sequences <= this.#slots &&
      blocks.every(({ touched }, group) => touched <= this.#blocks[group]) &&
      positions <= this.#columns * ATTENTION_CHUNK
    )
  }

  /**
   * Makes room; tables are empty then. Where blocks were, they move, which waits for the backend.
   *
   * @throws BackendError if there is no room
   */
  async grow(need: Need): Promise<void> {
    const old = this.#layers
    const oldBlocks = this.#blocks
    this.#makeRoom(need)
    if (this.#layers === old) return
    for (const [i, { keys, values }] of old.entries()) {
      if (oldBlocks[this.#facts.groupOf[i]] > 0) {
        const { backend } = this.#facts
        backend.write(this.#layers[i].keys, 0, await backend.read(keys))
        backend.write(this.#layers[i].values, 0, await backend.read(values))
      }
      this.#owner.free(keys)
      this.#owner.free(values)
    }
  }

  #makeRoom(need: Need): void {
    const { backend, groupOf, maxSequences, maxRows, config } = this.#facts
    const blocks = need.blocks.map(({ touched, most }, group) => {
      const own = this.#blocks[group]
      if (touched <= own) return own
      return backend.commitsOnUse ? most : Math.min(Math.max(touched, 2 * own, FIRST_BLOCKS), most)
    })
    const needsBlocks = blocks.some((count, group) => count > this.#blocks[group])
    const grown = Math.max(blocksOf(Math.max(need.positions, FIRST_POSITIONS)), 2 * this.#columns)
    const hasPositions = need.positions <= this.#columns * ATTENTION_CHUNK
    const columns = hasPositions ? this.#columns : Math.min(grown, blocksOf(need.mostPositions))
    const positions = columns * ATTENTION_CHUNK
    const grownSlots = Math.max(need.sequences, 2 * this.#slots, FIRST_SEQUENCES)
    const bindable = Math.floor((backend.largestOperand ?? Infinity) / (4 * positions))
    const most = Math.max(need.sequences, Math.min(maxSequences, bindable))
    const slots = need.sequences <= this.#slots ? this.#slots : Math.min(grownSlots, most)
    const limits = { tokens: config.vocabSize, slots, positions }
    this.#owner.allTogether(() => {
      const layers = needsBlocks ? this.#allocate(blocks) : this.#layers
      const tables = blocks.map((count) =>
        this.#owner.allocateIndices(slots * columns, blockColumns(count), 'block table'),
      )
      const buffers = {
        layers: layers.map((layer, i) => ({ ...this.#shape(blocks[groupOf[i]]), ...layer })),
        tables: groupOf.map((group) => ({ data: tables[group], slots, columns })),
        step: this.#owner.allocateIndices(maxRows, stepColumns(limits), 'step'),
        wantedStep: this.#owner.allocateIndices(maxRows, stepColumns(limits), 'wanted step'),
        history: this.#owner.allocateIndices(
          slots * positions,
          [{ name: 'token', limit: config.vocabSize }],
          'tokens so far',
        ),
        capacity: positions,
        rotations: this.#facts.rotations(positions),
        localRotations: this.#facts.localRotations?.(positions),
      }
      this.#freeTables()
      this.#layers = layers
      this.#blocks = blocks
      this.#slots = slots
      this.#columns = columns
      this.#tables = tables
      this.#buffers = buffers
    })
  }

  /** Frees what has the limits of the memory as it was. */
  #freeTables(): void {
    for (const buffer of this.#tables) this.#owner.free(buffer)
    if (this.#buffers !== undefined) {
      this.#owner.free(this.#buffers.step)
      this.#owner.free(this.#buffers.wantedStep)
      this.#owner.free(this.#buffers.history)
    }
    for (const copy of this.#copies) {
      copy?.program.dispose()
      if (copy) this.#owner.free(copy.pairs)
    }
    this.#copies = []
  }

  #shape(blocks: number) {
    const { type, config } = this.#facts
    const { nKvHeads, headDim } = config
    return { type, blocks, nKvHeads, headDim }
  }

  #allocate(blocks: readonly number[]): Layer[] {
    return this.#facts.groupOf.map((group, i) => {
      const shape = this.#shape(blocks[group])
      return {
        keys: this.#owner.allocate(keyCacheByteLength(shape), `layer ${i} keys`),
        values: this.#owner.allocate(valueCacheByteLength(shape), `layer ${i} values`),
      }
    })
  }

  /** Writes which blocks of a group a sequence has. */
  writeTable(group: number, slot: number, blocks: readonly number[]): void {
    // What a window has left behind is never looked at.
    const row = Int32Array.from(blocks.slice(0, this.#columns), (block) => Math.max(0, block))
    if (row.length === 0) return
    this.#facts.backend.write(this.#tables[group], slot * this.#columns * 4, bytesOf(row))
  }

  /** Writes which tokens a sequence has; those of passes come by themselves. */
  writeHistory(slot: number, tokens: readonly number[]): void {
    const { history, capacity } = this.buffers
    if (tokens.length === 0) return
    this.#facts.backend.write(history, slot * capacity * 4, bytesOf(Int32Array.from(tokens)))
  }

  /** Copies a block in all layers of its group. */
  async copy({ group, from, to }: BlockCopy): Promise<void> {
    const { backend, groupOf } = this.#facts
    this.#copies[group] ??= await (async () => {
      const columns = blockPairColumns(this.#blocks[group])
      const pairs = this.#owner.allocateIndices(1, columns, 'blocks to copy')
      const caches = this.buffers.layers.filter((_, i) => groupOf[i] === group)
      await backend.ready()
      const program = await backend.record(
        caches.map((cache) => ({ op: 'copy-blocks', rows: 1, pairs, cache })),
      )
      return { pairs, program }
    })()
    const { pairs, program } = this.#copies[group]
    backend.write(pairs, 0, bytesOf(Int32Array.of(from, to)))
    backend.submit(program)
  }

  /** Fills `packed` with what blocks have. */
  async copyOut(blocks: readonly PlacedBlock[], packed: Uint8Array): Promise<void> {
    const { backend } = this.#facts
    if (backend.map) await backend.done()
    // All are asked for at once: the queue keeps the order, and the wait is one.
    const reads = blocks.map(async (block) => {
      const slice = this.#sliceOf(block)
      const bytes = backend.map?.(slice) ?? (await backend.read(slice))
      copyPositions(this.#shape(1), block, bytes, packed, 'out')
    })
    await Promise.all(reads)
  }

  /** Writes what `packed` has for blocks; what is behind their positions is never looked at. */
  async copyIn(blocks: readonly PlacedBlock[], packed: Uint8Array): Promise<void> {
    const { backend } = this.#facts
    if (backend.map) await backend.done()
    for (const block of blocks) {
      const slice = this.#sliceOf(block)
      const bytes = backend.map?.(slice) ?? new Uint8Array(slice.byteLength)
      copyPositions(this.#shape(1), block, bytes, packed, 'in')
      if (!backend.map) backend.write(slice, 0, bytes)
    }
  }

  #sliceOf({ layer, part, block }: PlacedBlock): BufferSlice {
    const bytes = partBytes(this.#shape(1), part)
    return sliceOf(this.#layers[layer][part], block * bytes, bytes)
  }

  dispose(): void {
    for (const copy of this.#copies) copy?.program.dispose()
    this.#owner.dispose()
  }
}
