/**
 * Forward reading with few calls: a tensor's bytes are fetched in windows, so that asking for sixteen
 * rows after sixteen rows costs one read of the file every few megabytes.
 */
import type { TensorInfo } from '../model-file.ts'

/** Large enough that the call's cost vanishes, small beside any model. */
const WINDOW_BYTES = 4 << 20

/** Reads one tensor forward, a window at a time. */
export class ReadWindow {
  readonly #tensor: TensorInfo
  readonly #windowBytes: number
  #start = 0
  #bytes: Uint8Array = new Uint8Array(0)
  /** Used again for each window where the source can read into it. */
  #memory = new Uint8Array(0)

  /** @param windowBytes read at once; the tensor's length keeps all of it after the first read */
  constructor(tensor: TensorInfo, windowBytes = WINDOW_BYTES) {
    this.#tensor = tensor
    this.#windowBytes = windowBytes
  }

  /** Bytes [at, at + length) of the tensor, valid until the next call; they must not be changed. */
  async bytes(at: number, length: number): Promise<Uint8Array> {
    const from = at - this.#start
    if (from >= 0 && from + length <= this.#bytes.length) {
      return this.#bytes.subarray(from, from + length)
    }
    const { source, offset, byteLength } = this.#tensor
    const size = Math.max(length, Math.min(this.#windowBytes, byteLength - at))
    this.#bytes = this.#bytes.subarray(0, 0)
    if (source.readInto === undefined) this.#bytes = await source.read(offset + at, size)
    else {
      if (this.#memory.length < size) this.#memory = new Uint8Array(size)
      const bytes = this.#memory.subarray(0, size)
      await source.readInto(bytes, offset + at)
      this.#bytes = bytes
    }
    this.#start = at
    return this.#bytes.subarray(0, length)
  }
}
