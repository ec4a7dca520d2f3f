/**
 * Builds packed matrices from rows as a file gives them: rows are decoded into a staging buffer, and the
 * backend packs them into the matrix while the next ones are decoded. Matrices that share an input are
 * stacked, and a part need not end at a stripe's border.
 */

import { ShapeError } from '../../errors.ts'
import type { DenseMatrix, TernaryMatrix } from '../../kernels/matrices.ts'
import type { Command } from '../../kernels/ops.ts'
import type { DeviceBuffer } from '../../kernels/slice.ts'
import type { CodesType, ValuesType } from '../../kernels/storage.ts'
import { padToTile } from '../../ternary/index.ts'
import { type BufferOwner, bytesOf } from '../buffer-owner.ts'
import {
  type DenseShape,
  denseBuffers,
  type TernaryShape,
  ternaryBuffers,
} from './matrix-buffers.ts'

/** One of two buffers that take turns: one is packed while the other is filled. */
interface Stage {
  readonly buffer: DeviceBuffer
  /** Settles when it may be filled again. */
  packed: Promise<void>
}

type PackCommand = (staged: DeviceBuffer, rows: number, firstRow: number) => Command

/** Hands rows to the backend's packing command, one piece behind the caller. */
class RowPacker {
  readonly #owner: BufferOwner
  readonly #rows: number
  readonly #command: PackCommand
  readonly #stages: Stage[] = []
  #turn = 0
  #packedRows = 0
  /** What `room` gave out, where it is not the stage's own memory. */
  #copy: Uint8Array | undefined

  constructor(owner: BufferOwner, rows: number, command: PackCommand) {
    this.#owner = owner
    this.#rows = rows
    this.#command = command
  }

  /** Bytes to write the next rows to, before `commit`. */
  async room(byteLength: number): Promise<Uint8Array> {
    const stage = this.#stageFor(byteLength)
    await stage.packed
    const mapped = this.#owner.backend.map?.(stage.buffer)
    this.#copy = mapped ? undefined : new Uint8Array(byteLength)
    return mapped?.subarray(0, byteLength) ?? this.#copy ?? new Uint8Array(0)
  }

  /** Packs `count` rows that were written to the last `room`. */
  async commit(count: number): Promise<void> {
    const firstRow = this.#packedRows
    if (firstRow + count > this.#rows) {
      throw new ShapeError(
        `Expected at most ${this.#rows} rows for the matrix, got ${firstRow + count}.`,
      )
    }
    const { backend } = this.#owner
    const stage = this.#stages[this.#turn]
    if (this.#copy) backend.write(stage.buffer, 0, this.#copy)
    this.#packedRows += count
    this.#turn = 1 - this.#turn
    const program = await backend.record([this.#command(stage.buffer, count, firstRow)])
    backend.submit(program)
    program.dispose()
    stage.packed = backend.done()
    // It is awaited later; until then a failure must not count as unhandled.
    stage.packed.catch(() => {})
  }

  /** @throws ShapeError if rows are missing */
  async finish(): Promise<void> {
    for (const { buffer } of this.#stages) this.#owner.free(buffer)
    await this.#owner.backend.done()
    if (this.#packedRows === this.#rows) return
    throw new ShapeError(`Expected ${this.#rows} rows for the matrix, got ${this.#packedRows}.`)
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

/** Builds a {@link TernaryMatrix} (rows, cols). */
export class TernaryMatrixWriter {
  #codesType: CodesType = 'int8'
  readonly #owner: BufferOwner
  readonly #matrix: TernaryMatrix
  readonly #scales: Float32Array
  readonly #packer: RowPacker
  #rows = 0

  constructor(owner: BufferOwner, shape: TernaryShape, label: string) {
    this.#owner = owner
    const { rows } = shape
    const out = ternaryBuffers((...buffer) => owner.allocate(...buffer), shape, label)
    this.#matrix = out
    this.#scales = new Float32Array(padToTile(rows))
    this.#packer = new RowPacker(owner, rows, (codes, count, firstRow) => ({
      op: 'pack-ternary',
      rows: count,
      firstRow,
      codes,
      codesType: this.#codesType,
      out,
    }))
  }

  /** Room for the codes of the next `count` rows, (count, cols): -1, 0 or +1. */
  async room(count: number): Promise<Int8Array> {
    const bytes = await this.#packer.room(count * this.#matrix.cols)
    this.#codesType = 'int8'
    return new Int8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  }

  /** Room for the I2_S bytes of the next `count` rows. */
  async roomForI2s(count: number): Promise<Uint8Array> {
    const bytes = await this.#packer.room((count * this.#matrix.cols) / 4)
    this.#codesType = 'i2s'
    return bytes
  }

  /** @param scale of all these rows, or one each */
  async commit(count: number, scale: number | Float32Array): Promise<void> {
    await this.#packer.commit(count)
    if (typeof scale === 'number') this.#scales.fill(scale, this.#rows, this.#rows + count)
    else this.#scales.set(scale, this.#rows)
    this.#rows += count
  }

  async finish(): Promise<TernaryMatrix> {
    await this.#packer.finish()
    this.#owner.backend.write(this.#matrix.scales, 0, bytesOf(this.#scales))
    return this.#matrix
  }
}

/** Builds a {@link DenseMatrix} (rows, cols). */
export class DenseMatrixWriter {
  readonly #owner: BufferOwner
  readonly #matrix: DenseMatrix
  readonly #packer: RowPacker
  #valuesType: ValuesType = 'f32'

  constructor(owner: BufferOwner, shape: DenseShape, label: string) {
    this.#owner = owner
    const out = denseBuffers((...buffer) => owner.allocate(...buffer), shape, label)
    this.#matrix = out
    this.#packer = new RowPacker(owner, shape.rows, (values, count, firstRow) => ({
      op: 'pack-dense',
      rows: count,
      firstRow,
      values,
      valuesType: this.#valuesType,
      out,
    }))
  }

  /** Room for the values of the next `count` rows, (count, cols): halves as 16-bit words. */
  async room(count: number, valuesType: ValuesType): Promise<Float32Array | Uint16Array> {
    const length = count * this.#matrix.cols
    const bytes = await this.#packer.room(length * (valuesType === 'f32' ? 4 : 2))
    this.#valuesType = valuesType
    return valuesType === 'f32'
      ? new Float32Array(bytes.buffer, bytes.byteOffset, length)
      : new Uint16Array(bytes.buffer, bytes.byteOffset, length)
  }

  async commit(count: number): Promise<void> {
    await this.#packer.commit(count)
  }

  async finish(): Promise<DenseMatrix> {
    await this.#packer.finish()
    return this.#matrix
  }

  /** Gives the memory back, for a matrix that is not to be finished. */
  async abandon(): Promise<void> {
    await this.#packer.finish().catch(() => {})
    this.#owner.free(this.#matrix.data.buffer)
    if (this.#matrix.scales !== undefined) this.#owner.free(this.#matrix.scales.buffer)
  }
}
