/**
 * A module's exports, native/wasm.c, as functions of plain numbers, whatever the width of its addresses.
 */
import { type AddressType, type ModuleAddress, moduleAddress } from './addresses.ts'

export interface WasmExports {
  /** First byte that the module leaves free. */
  readonly heapBase: number
  readonly controlBytes: number
  readonly progressBytes: number
  readonly commandBytes: number
  countPhases(commands: number, count: number): number
  decodeCommand(command: number, slots: number): void
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
  command_bytes(): number
  count_phases(commands: ModuleAddress, count: number): number
  decode_command(command: ModuleAddress, slots: ModuleAddress): void
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
    commandBytes: raw.command_bytes(),
    countPhases: (commands, count) => raw.count_phases(at(commands), count),
    decodeCommand: (command, slots) => raw.decode_command(at(command), at(slots)),
    setList: (control, { commands, count, threads, progress }) =>
      raw.set_list(at(control), at(commands), count, threads, at(progress)),
    runAlone: (control) => raw.run_alone(at(control)),
    nextGeneration: (control, stopping) => raw.next_generation(at(control), stopping ? 1 : 0),
  }
}
