/**
 * An allocator over a WebAssembly memory: first fit over a list of free spans, neighbours joined.
 * A backend allocates some hundred buffers, mostly large, so that a list is enough.
 */
import { BackendError } from '../../errors.ts'
import { type AddressType, growMemory, PAGE } from './instance.ts'
import { WIDE_ISA, wasmFeatures } from './module.ts'

const ALIGNMENT = 64

interface Span {
  start: number
  end: number
}

export class LinearMemory {
  readonly memory: WebAssembly.Memory
  readonly #maxPages: number
  readonly #type: AddressType
  #free: Span[]
  #end: number
  /** From here on nothing was ever written: the engine hands out zeros. */
  #fresh: number

  /**
   * @param heapBase first byte that the module leaves free
   * @param maxPages what the memory was made for
   */
  constructor(
    memory: WebAssembly.Memory,
    heapBase: number,
    maxPages: number,
    type: AddressType = 'i32',
  ) {
    this.memory = memory
    this.#maxPages = maxPages
    this.#type = type
    this.#end = memory.buffer.byteLength
    this.#fresh = align(heapBase)
    this.#free = [{ start: this.#fresh, end: this.#end }]
  }

  /**
   * Zeroed memory, at least one byte.
   *
   * @throws BackendError if the memory's or the engine's own limit is reached
   */
  allocate(byteLength: number, label: string): number {
    const bytes = align(Math.max(1, byteLength))
    let span = this.#free.find(({ start, end }) => end - start >= bytes)
    if (!span) {
      this.#grow(bytes, label)
      span = this.#free[this.#free.length - 1]
    }
    const { start } = span
    span.start += bytes
    if (span.start === span.end) this.#free = this.#free.filter((s) => s !== span)
    // Fresh pages stay untouched: a cache takes memory only as it fills.
    const used = Math.min(bytes, Math.max(0, this.#fresh - start))
    this.view(start, used).fill(0)
    this.#fresh = Math.max(this.#fresh, start + bytes)
    return start
  }

  free(start: number, byteLength: number): void {
    const freed = { start, end: start + align(Math.max(1, byteLength)) }
    const at = this.#free.findIndex((span) => span.start > start)
    this.#free.splice(at < 0 ? this.#free.length : at, 0, freed)
    this.#free = this.#free.reduce<Span[]>((joined, span) => {
      const last = joined[joined.length - 1]
      if (last?.end === span.start) last.end = span.end
      else joined.push(span)
      return joined
    }, [])
  }

  /** A view; of a memory without threads it is good until the next allocation. */
  view(start: number, byteLength: number): Uint8Array {
    return new Uint8Array(this.memory.buffer, start, byteLength)
  }

  #grow(bytes: number, label: string): void {
    const last = this.#free[this.#free.length - 1]
    const open = last?.end === this.#end ? last.end - last.start : 0
    const pages = Math.ceil((bytes - open) / PAGE)
    if (this.#end / PAGE + pages > this.#maxPages) {
      const limit = (this.#maxPages * PAGE) / 2 ** 30
      throw this.#noRoom(bytes, label, `it ends at ${limit.toFixed(0)} GiB`)
    }
    try {
      growMemory(this.#type, this.memory, pages)
    } catch (cause) {
      throw this.#noRoom(bytes, label, 'the engine gives no more', cause)
    }
    const start = this.#end
    this.#end += pages * PAGE
    if (open > 0) last.end = this.#end
    else this.#free.push({ start, end: this.#end })
  }

  #noRoom(bytes: number, label: string, reason: string, cause?: unknown): BackendError {
    const hasMore = this.#type === 'i32' && wasmFeatures().memory64
    return new BackendError(
      `Expected room for ${bytes} bytes of "${label}" in WebAssembly memory, which holds ` +
        `${this.#end} bytes already, but ${reason}. Use ` +
        (hasMore ? `isa ${WIDE_ISA}, which has more, ` : '') +
        'the native backend, a smaller model, a shorter context or a smaller batch.',
      { cause },
    )
  }
}

function align(n: number): number {
  return Math.ceil(n / ALIGNMENT) * ALIGNMENT
}
