/**
 * The WebAssembly backend: the same C as the native one, for browsers and for machines without the
 * addon. With shared memory it runs threads; without, it runs a list on the calling thread.
 */
import { messageOf } from '../../checks.ts'
import { BackendError } from '../../errors.ts'
import type { BufferSlice } from '../../kernels/slice.ts'
import { turnOfTheLoop } from '../../turns.ts'
import type { Backend, BackendOptions } from '../backend.ts'
import type { OwnBuffer } from '../checked-backend.ts'
import {
  type KernelVariant,
  ListBackend,
  type Place,
  TAIL_BYTES,
  variantNamed,
} from '../list-backend.ts'
import { processorCount } from './host.ts'
import {
  type AddressType,
  createMemory,
  instantiate,
  MAX_PAGES,
  moduleAddress,
  PAGE,
  type WasmExports,
} from './instance.ts'
import { LinearMemory } from './linear-memory.ts'
import { addressTypeOf, type WasmIsa, WIDE_ISA, wasmFeatures } from './module.ts'
import { type ModuleFacts, openModules, type WasmModules } from './module-source.ts'
import { WorkerThreads } from './threads.ts'

/** Addresses of a list's commands and of its progress. */
interface WasmList {
  readonly commands: number
  readonly commandBytes: number
  readonly count: number
  readonly progress: number
  readonly progressBytes: number
}

/** More would be idle: a phase rarely has more pieces. */
const MAX_THREADS = 64
const STACK_BYTES = 256 * 1024
/** What the modules are linked to start with; scripts/build-native.mjs. */
const INITIAL_PAGES = 64
/** Engines on small machines refuse to set so many addresses aside for shared memory. */
const SHARED_PAGES: Record<AddressType, readonly number[]> = {
  i32: [MAX_PAGES.i32, 32768, 16384],
  i64: [MAX_PAGES.i64, 131072],
}
/** For what is not in the expected bytes: activations, partial results, lists, stacks. */
const SPARE_BYTES = 256 << 20
/** Without threads of its own the backend gives way this often: a page draws every 17 ms. */
const SLICE_MS = 16

/** The modules and whether this engine can run them, fastest first; the one with 64 bits last. */
export function wasmVariants(): KernelVariant<WasmIsa>[] {
  const { simd, relaxedSimd, memory64 } = wasmFeatures()
  const variant = (isa: WasmIsa, supported: boolean, what: string): KernelVariant<WasmIsa> =>
    supported ? { isa, supported } : { isa, supported, reason: `this engine has no ${what}` }
  return [
    variant('wasm-relaxed-simd', relaxedSimd, 'relaxed SIMD'),
    variant('wasm-simd', simd, 'SIMD'),
    relaxedSimd
      ? variant(WIDE_ISA, memory64, '64-bit addresses (memory64)')
      : variant(WIDE_ISA, false, 'relaxed SIMD'),
  ]
}

/**
 * Opens the WebAssembly backend. Unset, `isa` is relaxed SIMD where the engine has it, and `threads` the
 * cores that the engine reports, one where memory cannot be shared. Where one module is given, both are what
 * it was built for.
 *
 * @param options `threads`, if set, is a whole number from 1 on
 * @param fallbacks why faster backends were passed over
 * @throws BackendError if the engine lacks SIMD, or what was asked for
 */
export async function openWasmBackend(
  options: Omit<BackendOptions, 'backend'> = {},
  fallbacks: readonly string[] = [],
): Promise<Backend> {
  const variants = wasmVariants()
  const isWide = (options.expectedBytes ?? 0) + SPARE_BYTES > MAX_PAGES.i32 * PAGE
  const supported = variants.filter((v) => v.supported)
  const best = supported.find((v) => isWide === (v.isa === WIDE_ISA)) ?? supported[0]
  const modules = await openModules(options.wasm)
  const { only } = modules
  const { sharedMemoryReason } = wasmFeatures()
  checkOnly(only, options.isa, sharedMemoryReason)
  const isa = variantNamed(variants, only?.isa ?? options.isa ?? best?.isa, 'WebAssembly')
  const asked = Math.min(MAX_THREADS, options.threads ?? processorCount())
  const alone = (reasons: readonly string[]) =>
    open(modules, { isa, threaded: only?.threaded ?? false }, 1, [...reasons, ...fallbacks])
  if (asked === 1) return alone([])
  if (only?.threaded === false) return alone(['the WebAssembly module given has no threads'])
  if (sharedMemoryReason !== undefined) return alone([sharedMemoryReason])
  try {
    return await open(modules, { isa, threaded: true }, asked, fallbacks)
  } catch (error) {
    return alone([messageOf(error)])
  }
}

/** @throws BackendError if the only module that there is cannot do what is asked for, or not here */
function checkOnly(
  only: ModuleFacts | undefined,
  isa: string | undefined,
  sharedMemoryReason: string | undefined,
): void {
  if (only === undefined) return
  if (isa !== undefined && isa !== only.isa) {
    throw new BackendError(
      `Expected a WebAssembly module for ${isa}, but the one given is for ${only.isa}. Leave isa out, or ` +
        'name the folder that has all modules.',
    )
  }
  if (!only.threaded || sharedMemoryReason === undefined) return
  throw new BackendError(
    `The WebAssembly module given is the one for threads, but ${sharedMemoryReason}; or give the module ` +
      'without threads, or the folder that has both.',
  )
}

async function open(
  modules: WasmModules,
  facts: ModuleFacts,
  threads: number,
  fallbacks: readonly string[],
): Promise<Backend> {
  const module = await modules.compile(facts)
  const { isa } = facts
  const type = addressTypeOf(isa)
  const { memory, maxPages } = facts.threaded
    ? sharedMemory(type)
    : { memory: createMemory(type, { initial: INITIAL_PAGES }), maxPages: MAX_PAGES[type] }
  const exports = await instantiate(module, memory, type)
  const linear = new LinearMemory(memory, exports.heapBase, maxPages, type)
  const control = linear.allocate(exports.controlBytes, 'control')
  const backend = new WasmBackend(isa, threads, { exports, memory: linear, control }, fallbacks)
  if (threads > 1) await backend.startWorkers(module, modules.worker)
  return backend
}

function sharedMemory(type: AddressType): { memory: WebAssembly.Memory; maxPages: number } {
  let failure: unknown
  for (const maximum of SHARED_PAGES[type]) {
    try {
      const limits = { initial: INITIAL_PAGES, maximum, shared: true }
      return { memory: createMemory(type, limits), maxPages: maximum }
    } catch (error) {
      failure = error
    }
  }
  throw new BackendError('The engine gives no shared memory.', { cause: failure })
}

/** The module's instance on the calling thread, and where its threads meet. */
interface Instance {
  readonly exports: WasmExports
  readonly memory: LinearMemory
  readonly control: number
}

class WasmBackend extends ListBackend<Place, WasmList> {
  readonly name = 'wasm'
  readonly isa: WasmIsa
  readonly threads: number
  /**
   * Only with shared memory: the views of other memory come to nothing when it grows, which any
   * allocation may cause. Callers without `map` copy.
   */
  declare map?: (slice: BufferSlice) => Uint8Array
  /** Undefined once closed, so that the memory goes even if somebody keeps the backend. */
  #instance: Instance | undefined
  #workers: WorkerThreads | undefined
  #sliceBegan = 0

  constructor(isa: WasmIsa, threads: number, instance: Instance, fallbacks: readonly string[]) {
    super(fallbacks)
    this.isa = isa
    this.threads = threads
    this.#instance = instance
    if (threads > 1) this.map = (slice) => this.viewForCaller(slice)
  }

  get #open(): Instance {
    if (this.#instance) return this.#instance
    throw new BackendError('The backend is disposed; open a new one.')
  }

  /** @throws BackendError if one does not start */
  async startWorkers(module: WebAssembly.Module, script: URL | undefined): Promise<void> {
    const { memory, control } = this.#open
    const address = (value: number) => moduleAddress(addressTypeOf(this.isa), value)
    const starts = Array.from({ length: this.threads }, (_, thread) => ({
      module,
      memory: memory.memory,
      control: address(control),
      thread,
      stackTop: address(memory.allocate(STACK_BYTES, 'stack') + STACK_BYTES),
    }))
    this.#workers = await WorkerThreads.start(starts, (reason) => this.lose(reason), script)
  }

  protected override reserve(byteLength: number, label: string): Place {
    return { address: this.#open.memory.allocate(byteLength + TAIL_BYTES, label) }
  }

  protected override release({ memory, byteLength }: OwnBuffer<Place>): void {
    this.#open.memory.free(memory.address, byteLength + TAIL_BYTES)
  }

  protected override view({ memory, byteLength }: OwnBuffer<Place>): Uint8Array {
    return this.#open.memory.view(memory.address, byteLength)
  }

  protected override makeList(slots: Float64Array, count: number): WasmList {
    const { exports, memory } = this.#open
    const staging = memory.allocate(slots.byteLength, 'staging')
    memory.view(staging, slots.byteLength).set(new Uint8Array(slots.buffer))
    const commandBytes = exports.listByteLength(staging, slots.length)
    const commands = memory.allocate(commandBytes, 'commands')
    exports.decodeList(commands, staging, count)
    memory.free(staging, slots.byteLength)
    const progressBytes = exports.countPhases(commands, count) * exports.progressBytes
    const progress = memory.allocate(progressBytes, 'progress')
    return { commands, count, progress, commandBytes, progressBytes }
  }

  protected override dropList(list: WasmList): void {
    this.#instance?.memory.free(list.commands, list.commandBytes)
    this.#instance?.memory.free(list.progress, list.progressBytes)
  }

  protected override async run(list: WasmList): Promise<void> {
    const { commands, count, progress } = list
    if (!this.#workers) return this.#runAlone(list)
    const { exports, control } = this.#open
    exports.setList(control, { commands, count, threads: this.threads, progress })
    await this.#workers.run(() => exports.nextGeneration(control, false))
  }

  /** One command after the other, with a look at the clock between them. */
  async #runAlone({ commands, count, progress }: WasmList): Promise<void> {
    const { exports, control } = this.#open
    let command = commands
    for (let i = 0; i < count; i++, command += exports.commandBytes(command)) {
      exports.setList(control, { commands: command, count: 1, threads: 1, progress })
      exports.runAlone(control)
      const now = performance.now()
      if (now - this.#sliceBegan < SLICE_MS) continue
      await turnOfTheLoop()
      this.#sliceBegan = performance.now()
    }
  }

  protected override close(): void {
    const { exports, control } = this.#open
    this.#workers?.stop()
    if (this.#workers) exports.nextGeneration(control, true)
    this.#workers = undefined
    this.#instance = undefined
  }
}
