/**
 * Builds packed matrices row by row. Matrices that share an input are stacked, and a part need not end
 * at a stripe's border: rows simply follow on. Memory besides the packed matrix is what is appended at
 * a time, plus one stripe.
 */
import { ShapeError } from '../errors.ts'
import type { DenseMatrix, DenseType, DeviceBuffer, TernaryMatrix } from '../kernels/commands.ts'
import {
  denseByteLength,
  denseStripeByteLength,
  packDenseStripe,
} from '../kernels/dense-matmul/layout.ts'
import {
  packedByteLength,
  packStripe,
  padToTile,
  stripeByteLength,
  TILE,
} from '../ternary/index.ts'
import { type BufferOwner, bytesOf } from './buffer-owner.ts'

/** Enough to make a backend's write cheap, and small beside any matrix that takes long. */
const STAGED_BYTES = 1 << 18

type Rows = Int8Array | Float32Array

/** Cuts appended rows into stripes of 16, keeping back what does not fill one yet. */
class StripeCutter<T extends Rows> {
  readonly #cols: number
  readonly #rest: T
  #restRows = 0

  constructor(rest: T, cols: number) {
    this.#rest = rest
    this.#cols = cols
  }

  /** Calls `pack` for each stripe that is full now. */
  append(values: T, count: number, pack: (stripe: T, rows: number) => void): void {
    const cols = this.#cols
    let row = 0
    while (row < count) {
      const whole = this.#restRows === 0 && count - row >= TILE
      if (whole) {
        pack(values.subarray(row * cols, (row + TILE) * cols) as T, TILE)
        row += TILE
        continue
      }
      const take = Math.min(TILE - this.#restRows, count - row)
      this.#rest.set(values.subarray(row * cols, (row + take) * cols), this.#restRows * cols)
      this.#restRows += take
      row += take
      if (this.#restRows === TILE) this.flush(pack)
    }
  }

  /** Calls `pack` for the stripe that is only begun, if there is one. */
  flush(pack: (stripe: T, rows: number) => void): void {
    if (this.#restRows > 0) pack(this.#rest, this.#restRows)
    this.#restRows = 0
  }
}

/** Where whole stripes go: collected, then written to the backend in one piece. */
class StripeSink {
  readonly #owner: BufferOwner
  readonly #data: DeviceBuffer
  readonly #stripeBytes: number
  readonly #staged: Uint8Array
  #stagedBytes = 0
  #written = 0

  constructor(owner: BufferOwner, data: DeviceBuffer, stripeBytes: number) {
    this.#owner = owner
    this.#data = data
    this.#stripeBytes = stripeBytes
    const stripes = Math.max(1, Math.floor(STAGED_BYTES / stripeBytes))
    this.#staged = new Uint8Array(stripes * stripeBytes)
  }

  /** Room for the next stripe; to be filled before the next call. */
  next(): Uint8Array {
    if (this.#stagedBytes === this.#staged.byteLength) this.flush()
    const at = this.#stagedBytes
    this.#stagedBytes += this.#stripeBytes
    return this.#staged.subarray(at, this.#stagedBytes)
  }

  flush(): void {
    const bytes = this.#staged.subarray(0, this.#stagedBytes)
    this.#owner.backend.write(this.#data, this.#written, bytes)
    this.#written += this.#stagedBytes
    this.#stagedBytes = 0
  }
}

/** Builds a {@link TernaryMatrix} (rows, cols). */
export class TernaryMatrixWriter {
  readonly #owner: BufferOwner
  readonly #matrix: TernaryMatrix
  readonly #scales: Float32Array
  readonly #cutter: StripeCutter<Int8Array>
  readonly #sink: StripeSink
  #rows = 0

  constructor(owner: BufferOwner, rows: number, cols: number, label: string) {
    this.#owner = owner
    const data = owner.allocate(packedByteLength(rows, cols), label, 'weights')
    const scales = owner.allocate(padToTile(rows) * 4, `${label} scales`)
    this.#matrix = { rows, cols, data, scales }
    this.#scales = new Float32Array(padToTile(rows))
    this.#cutter = new StripeCutter(new Int8Array(TILE * cols), cols)
    this.#sink = new StripeSink(owner, data, stripeByteLength(cols))
  }

  /**
   * @param codes -1, 0 or +1, (count, cols) row-major
   * @param scale of all these rows
   */
  append(codes: Int8Array, count: number, scale: number): void {
    checkRows(this.#matrix, this.#rows + count)
    this.#scales.fill(scale, this.#rows, this.#rows + count)
    this.#rows += count
    this.#cutter.append(codes, count, this.#pack)
  }

  finish(): TernaryMatrix {
    checkComplete(this.#matrix, this.#rows)
    this.#cutter.flush(this.#pack)
    this.#sink.flush()
    this.#owner.backend.write(this.#matrix.scales, 0, bytesOf(this.#scales))
    return this.#matrix
  }

  readonly #pack = (stripe: Int8Array, rows: number): void => {
    packStripe(this.#sink.next(), stripe, rows, this.#matrix.cols)
  }
}

/** Builds a {@link DenseMatrix} (rows, cols). */
export class DenseMatrixWriter {
  readonly #owner: BufferOwner
  readonly #matrix: DenseMatrix
  readonly #scales: Float32Array | undefined
  readonly #cutter: StripeCutter<Float32Array>
  readonly #sink: StripeSink
  #rows = 0
  #packedRows = 0

  constructor(owner: BufferOwner, type: DenseType, rows: number, cols: number, label: string) {
    this.#owner = owner
    const data = owner.allocate(denseByteLength(type, rows, cols), label, 'weights')
    const isInt8 = type === 'int8'
    const scales = isInt8 ? owner.allocate(padToTile(rows) * 4, `${label} scales`) : undefined
    this.#matrix = { type, rows, cols, data, scales }
    this.#scales = isInt8 ? new Float32Array(padToTile(rows)) : undefined
    this.#cutter = new StripeCutter(new Float32Array(TILE * cols), cols)
    this.#sink = new StripeSink(owner, data, denseStripeByteLength(type, cols))
  }

  /** @param values (count, cols) row-major */
  append(values: Float32Array, count: number): void {
    checkRows(this.#matrix, this.#rows + count)
    this.#rows += count
    this.#cutter.append(values, count, this.#pack)
  }

  finish(): DenseMatrix {
    checkComplete(this.#matrix, this.#rows)
    this.#cutter.flush(this.#pack)
    this.#sink.flush()
    const { scales } = this.#matrix
    if (scales !== undefined && this.#scales !== undefined) {
      this.#owner.backend.write(scales, 0, bytesOf(this.#scales))
    }
    return this.#matrix
  }

  /** Gives the memory back, for a matrix that is not to be finished. */
  abandon(): void {
    this.#owner.free(this.#matrix.data)
    if (this.#matrix.scales !== undefined) this.#owner.free(this.#matrix.scales)
  }

  readonly #pack = (stripe: Float32Array, rows: number): void => {
    const { type, cols } = this.#matrix
    const first = this.#packedRows
    const scales = this.#scales?.subarray(first, first + TILE)
    packDenseStripe(this.#sink.next(), scales, type, stripe, rows, cols)
    this.#packedRows += TILE
  }
}

function checkRows(matrix: { rows: number }, rows: number): void {
  if (rows <= matrix.rows) return
  throw new ShapeError(`Expected at most ${matrix.rows} rows for the matrix, got ${rows}.`)
}

function checkComplete(matrix: { rows: number }, rows: number): void {
  if (rows === matrix.rows) return
  throw new ShapeError(`Expected ${matrix.rows} rows for the matrix, got ${rows}.`)
}
