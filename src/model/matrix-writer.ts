/**
 * Builds packed matrices from rows as a file gives them: rows are decoded into a staging buffer, and the
 * backend packs them into the matrix while the next ones are decoded. Matrices that share an input are
 * stacked, and a part need not end at a stripe's border.
 */
import type { Program } from '../backends/backend.ts'
import { ShapeError } from '../errors.ts'
import type {
  Command,
  DenseMatrix,
  DenseType,
  DeviceBuffer,
  TernaryMatrix,
} from '../kernels/commands.ts'
import { denseByteLength } from '../kernels/dense-matmul/layout.ts'
import { packedByteLength, padToTile } from '../ternary/index.ts'
import { type BufferOwner, bytesOf } from './buffer-owner.ts'

/** One of two buffers that take turns: one is packed while the other is filled. */
interface Stage {
  readonly buffer: DeviceBuffer
  packing: Promise<void>
}

/** Hands rows to the backend's packing command, one piece behind the caller. */
class RowPacker {
  readonly #owner: BufferOwner
  readonly #rows: number
  readonly #command: (staged: DeviceBuffer, rows: number, firstRow: number) => Command
  readonly #stages: Stage[] = []
  #turn = 0
  #packedRows = 0

  constructor(
    owner: BufferOwner,
    rows: number,
    command: (staged: DeviceBuffer, rows: number, firstRow: number) => Command,
  ) {
    this.#owner = owner
    this.#rows = rows
    this.#command = command
  }

  /** @param values `count` rows; free to be overwritten when this settles */
  async append(values: ArrayBufferView, count: number): Promise<void> {
    const firstRow = this.#packedRows
    if (firstRow + count > this.#rows) {
      throw new ShapeError(
        `Expected at most ${this.#rows} rows for the matrix, got ${firstRow + count}.`,
      )
    }
    const stage = this.#stageFor(values.byteLength)
    await stage.packing
    const { backend } = this.#owner
    backend.write(stage.buffer, 0, bytesOf(values))
    const program = backend.record([this.#command(stage.buffer, count, firstRow)])
    stage.packing = runOnce(program, backend.submit(program))
    // It is awaited later; until then a failure must not count as unhandled.
    stage.packing.catch(() => {})
    this.#packedRows += count
  }

  /** @throws ShapeError if rows are missing */
  async finish(): Promise<void> {
    await Promise.all(this.#stages.map(({ packing }) => packing))
    for (const { buffer } of this.#stages) this.#owner.free(buffer)
    if (this.#packedRows === this.#rows) return
    throw new ShapeError(`Expected ${this.#rows} rows for the matrix, got ${this.#packedRows}.`)
  }

  #stageFor(byteLength: number): Stage {
    const turn = this.#turn
    this.#turn = 1 - turn
    const old = this.#stages[turn]
    if (old && old.buffer.byteLength >= byteLength) return old
    const buffer = this.#owner.allocate(byteLength, 'staging')
    const packing = old ? old.packing.then(() => this.#owner.free(old.buffer)) : Promise.resolve()
    this.#stages[turn] = { buffer, packing }
    return this.#stages[turn]
  }
}

async function runOnce(program: Program, done: Promise<void>): Promise<void> {
  try {
    await done
  } finally {
    program.dispose()
  }
}

/** Builds a {@link TernaryMatrix} (rows, cols). */
export class TernaryMatrixWriter {
  readonly #owner: BufferOwner
  readonly #matrix: TernaryMatrix
  readonly #scales: Float32Array
  readonly #packer: RowPacker
  #rows = 0

  constructor(owner: BufferOwner, rows: number, cols: number, label: string) {
    this.#owner = owner
    const data = owner.allocate(packedByteLength(rows, cols), label, 'weights')
    const scales = owner.allocate(padToTile(rows) * 4, `${label} scales`)
    const out = { rows, cols, data, scales }
    this.#matrix = out
    this.#scales = new Float32Array(padToTile(rows))
    this.#packer = new RowPacker(owner, rows, (codes, count, firstRow) => ({
      op: 'pack-ternary',
      rows: count,
      firstRow,
      codes,
      out,
    }))
  }

  /**
   * @param codes -1, 0 or +1, (count, cols) row-major
   * @param scale of all these rows
   */
  async append(codes: Int8Array, count: number, scale: number): Promise<void> {
    await this.#packer.append(codes.subarray(0, count * this.#matrix.cols), count)
    this.#scales.fill(scale, this.#rows, this.#rows + count)
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

  constructor(owner: BufferOwner, type: DenseType, rows: number, cols: number, label: string) {
    this.#owner = owner
    const data = owner.allocate(denseByteLength(type, rows, cols), label, 'weights')
    const scales =
      type === 'int8' ? owner.allocate(padToTile(rows) * 4, `${label} scales`) : undefined
    const out = { type, rows, cols, data, scales }
    this.#matrix = out
    this.#packer = new RowPacker(owner, rows, (values, count, firstRow) => ({
      op: 'pack-dense',
      rows: count,
      firstRow,
      values,
      out,
    }))
  }

  /** @param values (count, cols) row-major */
  append(values: Float32Array, count: number): Promise<void> {
    return this.#packer.append(values.subarray(0, count * this.#matrix.cols), count)
  }

  async finish(): Promise<DenseMatrix> {
    await this.#packer.finish()
    return this.#matrix
  }

  /** Gives the memory back, for a matrix that is not to be finished. */
  async abandon(): Promise<void> {
    await this.#packer.finish().catch(() => {})
    this.#owner.free(this.#matrix.data)
    if (this.#matrix.scales !== undefined) this.#owner.free(this.#matrix.scales)
  }
}
