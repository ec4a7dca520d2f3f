/**
 * Builds packed matrices from rows as a file gives them: rows are decoded into a staging buffer, and the
 * backend packs them into the matrix while the next ones are decoded. Matrices that share an input are
 * stacked, and a part need not end at a stripe's border.
 */

import type { BufferUse } from '../../backends/backend.ts'
import { ShapeError } from '../../errors.ts'
import { cutByteLength, denseByteLength, hasRowScales } from '../../kernels/dense-matmul/layout.ts'
import { type DenseMatrix, type TernaryMatrix, ternaryByteLength } from '../../kernels/matrices.ts'
import type { Command } from '../../kernels/ops.ts'
import type { DeviceBuffer } from '../../kernels/slice.ts'
import type { CodesType, ValuesType } from '../../kernels/storage.ts'
import { padToTile, TILE } from '../../ternary/index.ts'
import { type BufferOwner, bytesOf } from '../buffer-owner.ts'
import type { MatrixPart } from './weight-plan.ts'

/** Elements decoded at a time: 2 MB of I2_S, 16 MB of halves. Smaller pieces wake the threads too often. */
const CHUNK_ELEMENTS = 1 << 23

/** Whatever gives memory, or only counts it. */
interface Allocator {
  allocate(byteLength: number, label: string, use?: BufferUse, unit?: number): DeviceBuffer
}
type TernaryShape = Pick<TernaryMatrix, 'packing' | 'order' | 'rows' | 'cols'>
type DenseShape = Pick<DenseMatrix, 'type' | 'rows' | 'cols'>

export function ternaryBuffers(
  allocator: Allocator,
  shape: TernaryShape,
  label: string,
): TernaryMatrix {
  const data = allocator.allocate(ternaryByteLength(shape), label, 'weights')
  const scales = allocator.allocate(padToTile(shape.rows) * 4, `${label} scales`)
  return { ...shape, data, scales }
}

export function denseBuffers(allocator: Allocator, shape: DenseShape, label: string): DenseMatrix {
  const { type, rows, cols } = shape
  const byteLength = denseByteLength(type, rows, cols)
  const data = allocator.allocate(byteLength, label, 'weights', cutByteLength(type, cols))
  const allocateScales = () => allocator.allocate(padToTile(rows) * 4, `${label} scales`)
  const scales = hasRowScales(type) ? allocateScales() : undefined
  return { type, rows, cols, data, scales }
}

/** Writes a ternary matrix from codes -1, 0 and +1, or from the bytes of I2_S. */
export function ternaryWriter(owner: BufferOwner, shape: TernaryShape, label: string) {
  const out = ternaryBuffers(owner, shape, label)
  const pack: Pack<CodesType> = (codes, codesType, rows, firstRow) => {
    return { op: 'pack-ternary', rows, firstRow, codes, codesType, out }
  }
  return new MatrixWriter(owner, out, pack)
}

/** Writes a dense matrix from floats, or from halves as 16-bit words. */
export function denseWriter(owner: BufferOwner, shape: DenseShape, label: string) {
  const out = denseBuffers(owner, shape, label)
  const pack: Pack<ValuesType> = (values, valuesType, rows, firstRow) => {
    return { op: 'pack-dense', rows, firstRow, values, valuesType, out }
  }
  return new MatrixWriter(owner, out, pack)
}

/** What rows are staged in; a byte of I2_S has four codes. */
interface Staged {
  readonly int8: Int8Array
  readonly i2s: Uint8Array
  readonly f32: Float32Array
  readonly f16: Uint16Array
  readonly bf16: Uint16Array
}
type StagedType = CodesType | ValuesType

interface View<T> {
  readonly BYTES_PER_ELEMENT: number
  new (length: number): T
  new (buffer: ArrayBufferLike, byteOffset: number, length: number): T
}
const VIEWS: { readonly [T in StagedType]: View<Staged[T]> } = {
  int8: Int8Array,
  i2s: Uint8Array,
  f32: Float32Array,
  f16: Uint16Array,
  bf16: Uint16Array,
}

type Pack<T> = (staged: DeviceBuffer, type: T, rows: number, firstRow: number) => Command

/** Some rows of a part, to be written to `room()`: (count, cols). */
interface Piece<T extends StagedType> {
  readonly row: number
  readonly count: number
  room(): Promise<Staged[T]>
}

/** One of two buffers that take turns: one is packed while the other is filled. */
interface Stage {
  readonly buffer: DeviceBuffer
  /** Settles when it may be filled again. */
  packed: Promise<void>
}

class MatrixWriter<M extends TernaryMatrix | DenseMatrix, T extends StagedType> {
  readonly #owner: BufferOwner
  readonly #matrix: M
  readonly #pack: Pack<T>
  readonly #stages: Stage[] = []
  #turn = 0
  #packedRows = 0
  /** What `#room` gave out, where it is not the stage's own memory. */
  #copy: Uint8Array | undefined

  constructor(owner: BufferOwner, matrix: M, pack: Pack<T>) {
    this.#owner = owner
    this.#matrix = matrix
    this.#pack = pack
  }

  /**
   * The rows of a part in pieces of whole stripes, or of whole heads where rows are put in order within
   * them: each piece is packed when the next one is asked for.
   *
   * @throws the signal's reason
   */
  async *pieces<U extends T>(
    {
      rows,
      cols,
      interleavedHeadDim: headDim,
    }: Pick<MatrixPart, 'rows' | 'cols' | 'interleavedHeadDim'>,
    type: U,
    signal: AbortSignal | undefined,
  ): AsyncGenerator<Piece<U>, void> {
    const unit = headDim > 0 ? headDim : TILE
    const step = Math.max(1, Math.floor(CHUNK_ELEMENTS / (cols * unit))) * unit
    const unordered = headDim > 0 ? new VIEWS[type](Math.min(step, rows) * cols) : undefined
    for (let row = 0; row < rows; row += step) {
      signal?.throwIfAborted()
      const count = Math.min(step, rows - row)
      const own = unordered?.subarray(0, count * cols) as Staged[U] | undefined
      yield { row, count, room: async () => own ?? this.#room(count, type) }
      if (own) halfOrderRows(await this.#room(count, type), own, headDim, cols)
      await this.#commit(count, type)
    }
  }

  /**
   * @param scales of the rows, where these are given and not computed: (padToTile(rows))
   * @throws ShapeError if rows are missing
   */
  async finish(scales?: Float32Array): Promise<M> {
    await this.#freeStages()
    const { rows, scales: target } = this.#matrix
    if (this.#packedRows !== rows) {
      throw new ShapeError(`Expected ${rows} rows for the matrix, got ${this.#packedRows}.`)
    }
    if (scales && target) this.#owner.backend.write(target, 0, bytesOf(scales))
    return this.#matrix
  }

  /** Gives the memory back, for a matrix that is not to be finished. */
  async abandon(): Promise<void> {
    await this.#freeStages().catch(() => {})
    this.#owner.free(this.#matrix.data.buffer)
    if (this.#matrix.scales !== undefined) this.#owner.free(this.#matrix.scales.buffer)
  }

  async #room<U extends T>(count: number, type: U): Promise<Staged[U]> {
    const length = (count * this.#matrix.cols) / (type === 'i2s' ? 4 : 1)
    const byteLength = length * VIEWS[type].BYTES_PER_ELEMENT
    const stage = this.#stageFor(byteLength)
    await stage.packed
    const mapped = this.#owner.backend.map?.(stage.buffer)
    const bytes = mapped ?? new Uint8Array(byteLength)
    this.#copy = mapped ? undefined : bytes
    return new VIEWS[type](bytes.buffer, bytes.byteOffset, length)
  }

  /** Packs `count` rows that were written to the last `#room`. */
  async #commit(count: number, type: T): Promise<void> {
    const firstRow = this.#packedRows
    const { rows } = this.#matrix
    if (firstRow + count > rows) {
      throw new ShapeError(`Expected at most ${rows} rows for the matrix, got ${firstRow + count}.`)
    }
    const { backend } = this.#owner
    const stage = this.#stages[this.#turn]
    if (this.#copy) backend.write(stage.buffer, 0, this.#copy)
    this.#packedRows += count
    this.#turn = 1 - this.#turn
    const program = await backend.record([this.#pack(stage.buffer, type, count, firstRow)])
    backend.submit(program)
    program.dispose()
    stage.packed = backend.done()
    // It is awaited later; until then a failure must not count as unhandled.
    stage.packed.catch(() => {})
  }

  async #freeStages(): Promise<void> {
    for (const { buffer } of this.#stages) this.#owner.free(buffer)
    await this.#owner.backend.done()
  }

  #stageFor(byteLength: number): Stage {
    const old = this.#stages[this.#turn]
    if (old && old.buffer.byteLength >= byteLength) return old
    if (old) this.#owner.free(old.buffer)
    const stage = { buffer: this.#owner.allocate(byteLength, 'staging'), packed: Promise.resolve() }
    this.#stages[this.#turn] = stage
    return stage
  }
}

/**
 * Reorders whole heads from interleaved pairs of rows to half pairs. Rotation turns pairs of elements:
 * Hugging Face files and GGUF's bitnet architectures pair element i with i + headDim / 2 ("half"), GGUF
 * files of the llama architecture 2i with 2i + 1 ("interleaved"). Kernels know only the first.
 *
 * @param out, rows (heads * headDim, cols) row-major
 */
export function halfOrderRows<T extends Staged[StagedType]>(
  out: T,
  rows: T,
  headDim: number,
  cols: number,
): void {
  const half = headDim / 2
  const count = rows.length / cols
  for (let r = 0; r < count; r++) {
    const inHead = r % headDim
    const source = r - inHead + 2 * (inHead % half) + (inHead < half ? 0 : 1)
    out.set(rows.subarray(source * cols, (source + 1) * cols), r * cols)
  }
}
