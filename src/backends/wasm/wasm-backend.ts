/**
 * The WebAssembly backend: the same C as the native one, for browsers and for machines without the
 * addon. With shared memory it runs threads; without, it runs a list on the calling thread.
 */
import { BackendError } from '../../errors.ts'
import type { Backend } from '../backend.ts'
import { ListBackend, type ListBuffer } from '../list-backend.ts'
import { LinearMemory } from './linear-memory.ts'
import { compileModule, type WasmFeatures, type WasmIsa, wasmFeatures } from './module.ts'
import { WorkerThreads } from './threads.ts'

export interface WasmOptions {
  /** Forces a module; unset: relaxed SIMD where the engine has it. */
  readonly isa?: string | undefined
  /** Unset: the cores the engine reports, one where memory cannot be shared. */
  readonly threads?: number | undefined
}

/** What the module exports; native/wasm.c. */
interface Exports {
  readonly __heap_base: WebAssembly.Global
  control_bytes(): number
  progress_bytes(): number
  command_bytes(): number
  count_phases(commands: number, count: number): number
  decode_command(command: number, slots: number): void
  set_list(
    control: number,
    commands: number,
    count: number,
    threads: number,
    progress: number,
  ): void
  run_alone(control: number): void
  next_generation(control: number, stopping: number): void
}

/** Addresses of a list's commands and of its progress. */
interface WasmList {
  readonly commands: number
  readonly commandBytes: number
  readonly count: number
  readonly progress: number
  readonly progressBytes: number
}

const MAX_THREADS = 64
const STACK_BYTES = 256 * 1024
/** What the modules are linked to start with; scripts/build-native.mjs. */
const INITIAL_PAGES = 64
const MAX_PAGES = 65535

/** The modules and whether this engine can run them, fastest first. */
export function wasmVariants(): { isa: WasmIsa; supported: boolean; reason?: string }[] {
  const { simd, relaxedSimd } = wasmFeatures()
  const variant = (isa: WasmIsa, supported: boolean, what: string) =>
    supported ? { isa, supported } : { isa, supported, reason: `this engine has no ${what}` }
  return [
    variant('wasm-relaxed-simd', relaxedSimd, 'relaxed SIMD'),
    variant('wasm-simd', simd, 'SIMD'),
  ]
}

/**
 * Opens the WebAssembly backend.
 *
 * @throws BackendError if the engine lacks SIMD, or what was asked for
 */
export async function openWasmBackend(options: WasmOptions = {}): Promise<Backend> {
  const variants = wasmVariants()
  const wanted = options.isa ?? variants.find((v) => v.supported)?.isa
  const variant = variants.find((v) => v.isa === wanted)
  if (!variant?.supported) {
    const known = variants.map((v) => v.isa + (v.supported ? '' : ` (${v.reason})`)).join(', ')
    throw new BackendError(
      `Expected a WebAssembly variant that runs here, got "${wanted}": ${known}.`,
    )
  }
  const features = wasmFeatures()
  const threads = options.threads ?? Math.min(MAX_THREADS, navigator.hardwareConcurrency || 1)
  if (!Number.isInteger(threads) || threads < 1 || threads > MAX_THREADS) {
    throw new BackendError(`Expected 1 to ${MAX_THREADS} threads, got ${threads}.`)
  }
  const threaded = threads > 1 && features.sharedMemory
  const module = await compileModule(variant.isa, threaded)
  const memory = new WebAssembly.Memory(
    threaded
      ? { initial: INITIAL_PAGES, maximum: MAX_PAGES, shared: true }
      : { initial: INITIAL_PAGES },
  )
  const imports = { env: { memory, list_done: () => {} } }
  const { exports } = await WebAssembly.instantiate(module, imports)
  const backend = new WasmBackend(variant.isa, exports as unknown as Exports, memory)
  if (threaded) await backend.startWorkers(module, threads)
  else backend.explain(threads, features)
  return backend
}

class WasmBackend extends ListBackend<undefined, WasmList> {
  readonly name = 'wasm'
  readonly isa: WasmIsa
  readonly #exports: Exports
  readonly #memory: LinearMemory
  readonly #control: number
  #threads = 1
  #note = ''
  #workers: WorkerThreads | undefined

  constructor(isa: WasmIsa, exports: Exports, memory: WebAssembly.Memory) {
    super()
    this.isa = isa
    this.#exports = exports
    this.#memory = new LinearMemory(memory, exports.__heap_base.value)
    this.#control = this.#memory.allocate(exports.control_bytes(), 'control')
  }

  get threads(): number {
    return this.#threads
  }

  override get description(): string {
    return super.description + this.#note
  }

  async startWorkers(module: WebAssembly.Module, threads: number): Promise<void> {
    const { memory } = this.#memory
    const starts = Array.from({ length: threads }, (_, thread) => ({
      module,
      memory,
      control: this.#control,
      thread,
      stackTop: this.#memory.allocate(STACK_BYTES, 'stack') + STACK_BYTES,
    }))
    this.#workers = await WorkerThreads.start(starts)
    this.#threads = threads
  }

  /** Says in the description why there is only one thread, where more were wanted. */
  explain(wanted: number, features: WasmFeatures): void {
    if (wanted > 1) this.#note = ` (${features.sharedMemoryReason})`
  }

  protected override reserve(byteLength: number, label: string) {
    return { address: this.#memory.allocate(byteLength, label), memory: undefined }
  }

  protected override release(buffer: ListBuffer<undefined>, byteLength: number): void {
    this.#memory.free(buffer.address, byteLength)
  }

  protected override view(buffer: ListBuffer<undefined>): Uint8Array {
    return this.#memory.view(buffer.address, buffer.byteLength)
  }

  protected override makeList(slots: Float64Array, count: number): WasmList {
    const exports = this.#exports
    const commandBytes = exports.command_bytes()
    const commands = this.#memory.allocate(count * commandBytes, 'commands')
    if (count > 0) {
      const slotBytes = slots.byteLength / count
      const staging = this.#memory.allocate(slotBytes, 'staging')
      for (let i = 0; i < count; i++) {
        const slot = new Uint8Array(slots.buffer, slots.byteOffset + i * slotBytes, slotBytes)
        this.#memory.view(staging, slotBytes).set(slot)
        exports.decode_command(commands + i * commandBytes, staging)
      }
      this.#memory.free(staging, slotBytes)
    }
    const progressBytes = exports.count_phases(commands, count) * exports.progress_bytes()
    const progress = this.#memory.allocate(progressBytes, 'progress')
    return { commands, count, progress, commandBytes: count * commandBytes, progressBytes }
  }

  protected override dropList(list: WasmList): void {
    this.#memory.free(list.commands, list.commandBytes)
    this.#memory.free(list.progress, list.progressBytes)
  }

  protected override async runList(list: WasmList): Promise<void> {
    const exports = this.#exports
    exports.set_list(this.#control, list.commands, list.count, this.#threads, list.progress)
    if (this.#workers) await this.#workers.run(() => exports.next_generation(this.#control, 0))
    else exports.run_alone(this.#control)
  }

  protected override close(): void {
    if (this.#workers) this.#exports.next_generation(this.#control, 1)
  }
}
