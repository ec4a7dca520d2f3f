/**
 * The native backend: C kernels behind Node-API, with a thread pool that replays recorded lists.
 *
 * Buffers are pages outside the JavaScript heap that JavaScript can also see, so that loading writes
 * straight into them and logits are read without a copy.
 */
import { messageOf } from '../../checks.ts'
import { BackendError } from '../../errors.ts'
import type { BufferSlice, DeviceBuffer } from '../../kernels/slice.ts'
import type { BufferUse, FileRange, MappedFile } from '../backend.ts'
import { ListBackend, ListBuffer } from '../list-backend.ts'
import { type Addon, loadAddon, type PoolHandle, type ProgramHandle } from './addon.ts'
import { readCpuCores } from './cpu-cores.ts'
import { MappedPages, type NativeMemory, sourceOf } from './mapped-file.ts'

export interface NativeOptions {
  /** Forces a variant, e.g. 'x86-avx2'; unset: the fastest that runs here. */
  readonly isa?: string | undefined
  /** Unset: one per physical core this process may use; see cpu-cores.ts. */
  readonly threads?: number | undefined
}

export interface NativeVariant {
  readonly isa: string
  readonly supported: boolean
  /** What the machine lacks, where it is not supported. */
  readonly reason?: string
}

/** More threads than any machine this runs on has cores; a typing error is caught here. */
const MAX_THREADS = 1024

/**
 * The kernel variants in the addon, fastest first.
 *
 * @throws BackendError if the addon cannot be loaded
 */
export function nativeVariants(): NativeVariant[] {
  return loadAddon()
    .variants()
    .map(({ isa, missing }) =>
      missing === null
        ? { isa, supported: true }
        : { isa, supported: false, reason: `this machine has no ${missing}` },
    )
}

/**
 * Opens the native backend.
 *
 * @throws BackendError if the addon does not load or the forced variant does not run here
 */
export function openNativeBackend(options: NativeOptions = {}): NativeBackend {
  const addon = loadAddon()
  const variants = nativeVariants()
  const wanted = options.isa ?? variants.find((v) => v.supported)?.isa
  const variant = variants.find((v) => v.isa === wanted)
  if (!variant?.supported) {
    const known = variants.map((v) => v.isa + (v.supported ? '' : ` (${v.reason})`)).join(', ')
    throw new BackendError(`Expected a kernel variant that runs here, got "${wanted}": ${known}.`)
  }
  const threads = options.threads ?? readCpuCores().threads
  if (!Number.isInteger(threads) || threads < 1 || threads > MAX_THREADS) {
    throw new BackendError(`Expected 1 to ${MAX_THREADS} threads, got ${threads}.`)
  }
  return new NativeBackend(addon, variant.isa, threads)
}

class NativeBackend extends ListBackend<NativeMemory, ProgramHandle> {
  readonly name = 'native'
  readonly isa: string
  readonly threads: number
  readonly #addon: Addon
  readonly #pool: PoolHandle

  /** @internal Use {@link openNativeBackend}. */
  constructor(addon: Addon, isa: string, threads: number) {
    super()
    this.#addon = addon
    this.#pool = addon.openPool(isa, threads)
    this.isa = isa
    this.threads = addon.poolThreads(this.#pool)
  }

  map(slice: BufferSlice): Uint8Array {
    return this.memoryOf(slice)
  }

  async mapFile(path: string): Promise<MappedFile> {
    const { bytes, checksum, file } = await this.#open(path, true)
    if (bytes === null) throw new Error('The addon mapped nothing.')
    const pages = new MappedPages(this.#addon, { bytes, checksum, file })
    return {
      bytes: new Uint8Array(bytes),
      checksum,
      buffer: (range) => this.#bufferOf(pages, range),
      takeSparseEnd: (buffer, range) =>
        this.whenIdle(() => pages.takeSparseEnd(this.own(buffer).memory, range)),
      close: () => pages.release(),
    }
  }

  async checksumFile(path: string): Promise<string> {
    return (await this.#open(path, false)).checksum
  }

  override write(slice: BufferSlice, byteOffset: number, bytes: Uint8Array): void {
    if (this.own(slice.buffer).memory.file !== undefined) {
      throw new BackendError(`Expected memory to write to, got "${slice.label}" of a mapped file.`)
    }
    super.write(slice, byteOffset, bytes)
  }

  /** The variant whose kernels ran the last program, as the addon saw it; null before the first. */
  get ranIsa(): string | null {
    return this.#addon.ranIsa(this.#pool)
  }

  protected override reserve(byteLength: number, _label: string, use: BufferUse) {
    const pages = this.#addon.allocate(byteLength, use === 'weights')
    return { address: this.#addon.addressOf(pages), memory: { pages, byteOffset: 0 } }
  }

  protected override release({ memory }: ListBuffer<NativeMemory>): void {
    const { pages, source, file } = memory
    if (source) this.#addon.release(source)
    if (file?.pages !== pages) this.#addon.release(pages)
    file?.release()
  }

  protected override view(buffer: ListBuffer<NativeMemory>): Uint8Array {
    const { pages, byteOffset } = buffer.memory
    return new Uint8Array(pages, byteOffset, buffer.byteLength)
  }

  protected override makeList(slots: Float64Array): ProgramHandle {
    return this.#addon.record(slots)
  }

  /** The addon frees a list when nothing refers to it any more. */
  protected override dropList(): void {}

  protected override async runList(list: ProgramHandle): Promise<void> {
    try {
      await this.#addon.submit(this.#pool, list)
    } catch (cause) {
      const reason = messageOf(cause)
      throw new BackendError(`A pass failed: ${reason}. Load the model again.`, { cause })
    }
  }

  protected override sparseSource({ memory }: ListBuffer<NativeMemory>): number {
    return this.#addon.addressOf(sourceOf(this.#addon, memory))
  }

  protected override close(): void {
    this.#addon.closePool(this.#pool)
  }

  async #open(path: string, map: boolean) {
    try {
      return await this.#addon.openImage(path, this.threads, map)
    } catch (cause) {
      const reason = messageOf(cause)
      throw new BackendError(`The file ${path} cannot be used as memory: ${reason}.`, { cause })
    }
  }

  #bufferOf(pages: MappedPages, range: FileRange): DeviceBuffer {
    const memory = pages.use(range)
    const address = this.#addon.addressOf(memory.pages) + range.byteOffset
    return this.adopt(new ListBuffer(range.label, range.byteLength, address, memory))
  }
}
