/**
 * Forward reading with few calls: a tensor's bytes are fetched in windows, so that asking for sixteen
 * rows after sixteen rows costs one read of the file every few megabytes.
 */
import type { TensorInfo } from '../model-file.ts'

/** Large enough that the call's cost vanishes, small beside any model. */
const WINDOW_BYTES = 4 << 20

export class ReadWindow {
  readonly #tensor: TensorInfo
  readonly #windowBytes: number
  #start = 0
  #bytes: Uint8Array = new Uint8Array(0)

  /** @param windowBytes read at once; the tensor's length keeps all of it after the first read */
  constructor(tensor: TensorInfo, windowBytes = WINDOW_BYTES) {
    this.#tensor = tensor
    this.#windowBytes = windowBytes
  }

  /** Bytes [at, at + length) of the tensor. They are never written again, but must not be changed. */
  async bytes(at: number, length: number): Promise<Uint8Array> {
    const from = at - this.#start
    if (from >= 0 && from + length <= this.#bytes.length) {
      return this.#bytes.subarray(from, from + length)
    }
    const { source, offset, byteLength } = this.#tensor
    // The old window must not stay in memory while a new one is read.
    this.#bytes = new Uint8Array(0)
    const size = Math.max(length, Math.min(this.#windowBytes, byteLength - at))
    const bytes = await source.read(offset + at, size)
    this.#start = at
    this.#bytes = bytes
    return bytes.subarray(0, length)
  }
}
