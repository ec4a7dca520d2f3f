/**
 * An allocator over a WebAssembly memory: first fit over a list of free spans, neighbours joined.
 * A backend allocates some hundred buffers, mostly large, so that a list is enough.
 */
import { BackendError } from '../../errors.ts'

const PAGE = 65536
/** 32-bit addresses: one page short of 4 GiB, so that an end address still fits. */
const MAX_PAGES = 65535
const ALIGNMENT = 64

interface Span {
  start: number
  end: number
}

export class LinearMemory {
  readonly memory: WebAssembly.Memory
  #free: Span[]
  #end: number

  /** @param heapBase first byte that the module leaves free */
  constructor(memory: WebAssembly.Memory, heapBase: number) {
    this.memory = memory
    this.#end = memory.buffer.byteLength
    this.#free = [{ start: align(heapBase), end: this.#end }]
  }

  /**
   * Zeroed memory, at least one byte.
   *
   * @throws BackendError if 4 GiB or the engine's own limit is reached
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
    this.view(start, bytes).fill(0)
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
    try {
      if (this.#end / PAGE + pages > MAX_PAGES) throw new RangeError('4 GiB')
      this.memory.grow(pages)
    } catch (cause) {
      throw new BackendError(
        `No room for ${bytes} bytes of "${label}" beside ${this.#end} bytes of WebAssembly memory. ` +
          'Use a smaller model, context or batch.',
        { cause },
      )
    }
    const start = this.#end
    this.#end += pages * PAGE
    if (open > 0) last.end = this.#end
    else this.#free.push({ start, end: this.#end })
  }
}

function align(n: number): number {
  return Math.ceil(n / ALIGNMENT) * ALIGNMENT
}
