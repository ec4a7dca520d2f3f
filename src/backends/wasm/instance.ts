/**
 * A module's memory and exports, native/wasm.c, as functions of plain numbers, which are exact far beyond
 * both widths of addresses that modules are built for; modules with 64 bits take and give them as bigint.
 */

export type AddressType = 'i32' | 'i64'

/** An address as a module of its width takes it. */
export type ModuleAddress = number | bigint

export const PAGE = 65536

/**
 * 32 bits: one page short of 4 GiB, so that an end address still fits. 64 bits: the 16 GiB at which the
 * JavaScript interface of WebAssembly ends a memory.
 */
export const MAX_PAGES: Record<AddressType, number> = { i32: 65535, i64: 262144 }

/** Also for counts of pages. */
export function moduleAddress(type: AddressType, value: number): ModuleAddress {
  return type === 'i64' ? BigInt(value) : value
}

/** @throws RangeError if the engine gives none of this size */
export function createMemory(
  type: AddressType,
  limits: { readonly initial: number; readonly maximum?: number; readonly shared?: boolean },
): WebAssembly.Memory {
  if (type === 'i32') return new WebAssembly.Memory(limits)
  const { initial, maximum, shared = false } = limits
  const wide = {
    address: type,
    initial: moduleAddress(type, initial),
    ...(maximum !== undefined && { maximum: moduleAddress(type, maximum) }),
    shared,
  }
  // TypeScript's library knows nothing of 64-bit memories.
  return new WebAssembly.Memory(wide as unknown as WebAssembly.MemoryDescriptor)
}

/** @throws RangeError if the engine gives no more */
export function growMemory(type: AddressType, memory: WebAssembly.Memory, pages: number): void {
  const growing: { grow(pages: ModuleAddress): ModuleAddress } = memory
  growing.grow(moduleAddress(type, pages))
}

export interface WasmExports {
  /** First byte that the module leaves free. */
  readonly heapBase: number
  readonly controlBytes: number
  readonly progressBytes: number
  /** Of the commands that slots say (kernels/commands.ts), and of one of them. */
  listByteLength(slots: number, length: number): number
  commandBytes(command: number): number
  countPhases(commands: number, count: number): number
  decodeList(commands: number, slots: number, count: number): void
  setList(control: number, list: ListToRun): void
  runAlone(control: number): void
  nextGeneration(control: number, stopping: boolean): void
}

export interface ListToRun {
  /** Addresses of the first command and of the room for progress. */
  readonly commands: number
  readonly progress: number
  readonly count: number
  readonly threads: number
}

interface RawExports {
  readonly __heap_base: WebAssembly.Global
  control_bytes(): number
  progress_bytes(): number
  list_byte_length(slots: ModuleAddress, length: number): number
  command_bytes(command: ModuleAddress): number
  count_phases(commands: ModuleAddress, count: number): number
  decode_list(commands: ModuleAddress, slots: ModuleAddress, count: number): void
  set_list(
    control: ModuleAddress,
    commands: ModuleAddress,
    count: number,
    threads: number,
    progress: ModuleAddress,
  ): void
  run_alone(control: ModuleAddress): void
  next_generation(control: ModuleAddress, stopping: number): void
}

/** The instance of the thread that posts lists. */
export async function instantiate(
  module: WebAssembly.Module,
  memory: WebAssembly.Memory,
  type: AddressType,
): Promise<WasmExports> {
  const imports = { env: { memory, list_done: () => {} } }
  const instance = await WebAssembly.instantiate(module, imports)
  const raw = instance.exports as unknown as RawExports
  const at = (address: number) => moduleAddress(type, address)
  return {
    heapBase: Number(raw.__heap_base.value),
    controlBytes: raw.control_bytes(),
    progressBytes: raw.progress_bytes(),
    listByteLength: (slots, length) => raw.list_byte_length(at(slots), length),
    commandBytes: (command) => raw.command_bytes(at(command)),
    countPhases: (commands, count) => raw.count_phases(at(commands), count),
    decodeList: (commands, slots, count) => raw.decode_list(at(commands), at(slots), count),
    setList: (control, { commands, count, threads, progress }) =>
      raw.set_list(at(control), at(commands), count, threads, at(progress)),
    runAlone: (control) => raw.run_alone(at(control)),
    nextGeneration: (control, stopping) => raw.next_generation(at(control), stopping ? 1 : 0),
  }
}
