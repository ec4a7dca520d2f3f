/**
 * The native backend: C kernels behind Node-API, with a thread pool that replays recorded lists.
 *
 * Buffers are pages outside the JavaScript heap that JavaScript can also see, so that loading writes
 * straight into them and logits are read without a copy.
 */
import { messageOf } from '../../checks.ts'
import { BackendError, UsageError } from '../../errors.ts'
import type { BufferSlice } from '../../kernels/slice.ts'
import type { BackendFiles, BackendOptions, BufferUse, MappedFile } from '../backend.ts'
import { OwnBuffer } from '../checked-backend.ts'
import { type KernelVariant, ListBackend, TAIL_BYTES, variantNamed } from '../list-backend.ts'
import { type Addon, loadAddon, type PoolHandle, type ProgramHandle } from './addon.ts'
import { readCpuCores } from './cpu-cores.ts'
import { MappedPages, type NativeMemory, sourceOf } from './mapped-file.ts'

/** More threads than any machine this runs on has cores; a typing error is caught here. */
const MAX_THREADS = 1024

/**
 * The kernel variants in the addon, fastest first.
 *
 * @throws BackendError if the addon cannot be loaded
 */
export function nativeVariants(): KernelVariant[] {
  return loadAddon()
    .variants()
    .map(({ isa, missing }) =>
      missing === null
        ? { isa, supported: true }
        : { isa, supported: false, reason: `this machine has no ${missing}` },
    )
}

/**
 * Opens the native backend. Unset, `isa` is the fastest variant that runs here, and `threads` is one per
 * physical core that this process may use; see cpu-cores.ts.
 *
 * @throws BackendError if the addon does not load or the forced variant does not run here; UsageError for a
 *   count of threads that is none
 */
export function openNativeBackend(
  options: Pick<BackendOptions, 'isa' | 'threads'> = {},
  fallbacks: readonly string[] = [],
): NativeBackend {
  const addon = loadAddon()
  const variants = nativeVariants()
  const fastest = variants.find((v) => v.supported)?.isa
  const isa = variantNamed(variants, options.isa ?? fastest, 'kernel')
  const threads = options.threads ?? readCpuCores().threads
  if (!Number.isInteger(threads) || threads < 1 || threads > MAX_THREADS) {
    throw new UsageError(`Expected 1 to ${MAX_THREADS} threads, got ${threads}.`)
  }
  return new NativeBackend(addon, isa, threads, fallbacks)
}

/** The addon has plain errors; what it lacks, where it does, is memory. */
function fromAddon<T>(what: string, ask: () => T): T {
  try {
    return ask()
  } catch (cause) {
    throw new BackendError(
      `Expected memory for ${what}, but the system gives none: ${messageOf(cause)}. Use a smaller model, ` +
        'a shorter context or fewer threads, or end other programs.',
      { cause },
    )
  }
}

/**
 * V8 from 13 on (Node 24) counts ArrayBuffers apart from what programs tell it, and ends the process where a
 * program takes off more than it has told.
 */
const CAN_WEIGH_LESS =
  process.versions['bun'] === undefined && Number.parseInt(process.versions.v8, 10) < 13

class NativeBackend extends ListBackend<NativeMemory, ProgramHandle> {
  readonly name = 'native'
  readonly isa: string
  override readonly commitsOnUse = true
  readonly threads: number
  readonly files: BackendFiles = {
    map: (path) => this.#mapFile(path),
    checksum: async (path) => (await this.#open(path, false)).checksum,
  }
  readonly #addon: Addon
  readonly #pool: PoolHandle

  /** @internal Use {@link openNativeBackend}. */
  constructor(addon: Addon, isa: string, threads: number, fallbacks: readonly string[]) {
    super(fallbacks)
    this.#addon = addon
    this.#pool = fromAddon(`${threads} threads`, () => addon.openPool(isa, threads))
    this.isa = isa
    this.threads = addon.poolThreads(this.#pool)
  }

  map(slice: BufferSlice): Uint8Array {
    return this.viewForCaller(slice)
  }

  /** The variant whose kernels ran the last program, as the addon saw it; null before the first. */
  get ranIsa(): string | null {
    return this.#addon.ranIsa(this.#pool)
  }

  protected override reserve(byteLength: number, _label: string, use: BufferUse) {
    const isLight = CAN_WEIGH_LESS && use !== 'weights'
    const pages = this.#addon.allocate(byteLength + TAIL_BYTES, use === 'weights')
    // A cache of gigabytes takes room where it is used: for its size V8 would collect garbage all the time.
    if (isLight) this.#addon.weigh(-pages.byteLength)
    return { address: this.#addon.addressOf(pages), pages, byteOffset: 0, isLight }
  }

  protected override release({ memory }: OwnBuffer<NativeMemory>): void {
    const { pages, source, file, isLight } = memory
    if (source) this.#addon.release(source)
    const { byteLength } = pages
    if (file?.pages !== pages) this.#addon.release(pages)
    if (isLight) this.#addon.weigh(byteLength)
    file?.release()
  }

  protected override view({ memory, byteLength }: OwnBuffer<NativeMemory>): Uint8Array {
    return new Uint8Array(memory.pages, memory.byteOffset, byteLength)
  }

  protected override assertWritable({ memory, label }: OwnBuffer<NativeMemory>): void {
    if (!memory.isReadOnly) return
    throw new BackendError(`Expected memory to write to, got "${label}" of a mapped file.`)
  }

  protected override makeList(slots: Float64Array): ProgramHandle {
    return fromAddon(`a list of ${slots.byteLength} bytes`, () => this.#addon.record(slots))
  }

  /** The addon frees a list when nothing refers to it any more. */
  protected override dropList(): void {}

  protected override run(list: ProgramHandle): Promise<void> {
    return this.#addon.submit(this.#pool, list)
  }

  protected override sparseSource({ memory }: OwnBuffer<NativeMemory>): number {
    const source = fromAddon('a source of mapped bytes', () => sourceOf(this.#addon, memory))
    return this.#addon.addressOf(source)
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

  async #mapFile(path: string): Promise<MappedFile> {
    const { bytes, checksum, file } = await this.#open(path, true)
    if (bytes === null) throw new Error('The addon mapped nothing.')
    const pages = new MappedPages(this.#addon, bytes, file)
    return {
      bytes: new Uint8Array(bytes),
      checksum,
      buffer: (range) => this.adopt(new OwnBuffer(range.label, range.byteLength, pages.use(range))),
      takeSparseEnd: async (buffer, range) => {
        const { memory } = this.own(buffer)
        // From now on, as a write may be called for before the file has taken its place.
        memory.isReadOnly = true
        await this.ask(() => pages.takeSparseEnd(memory, range))
      },
      close: () => pages.release(),
    }
  }
}
