/**
 * Chooses the backend in Node. 'auto' takes the native one where it loads, else WebAssembly, else the
 * reference; the description then says why. What is asked for by name is never replaced. Browsers have
 * open-portable.ts alone, so that nothing of the native backend is bundled for them.
 */
import { UsageError } from '../errors.ts'
import type { Backend } from './backend.ts'
import {
  type BackendOptions,
  checkThreads,
  openPortableBackend,
  portableBackendOf,
  reasonOf,
} from './open-portable.ts'

const BACKENDS = ['auto', 'native', 'wasm', 'reference']

/**
 * Opens a backend. Unset options are taken from BITNET_BACKEND and BITNET_ISA.
 *
 * @throws BackendError if what was asked for by name cannot run here
 * @throws UsageError if an option is none of its values
 */
export async function openBackend(options: BackendOptions = {}): Promise<Backend> {
  const asked = options.backend ?? environment('BITNET_BACKEND') ?? 'auto'
  const isa = options.isa ?? environment('BITNET_ISA')
  checkThreads(options.threads)
  if (!isBackendName(asked)) {
    throw new UsageError(`Expected backend to be auto, native, wasm or reference, got "${asked}".`)
  }
  const named = isa === undefined ? undefined : (portableBackendOf(isa) ?? 'native')
  const wanted = asked === 'auto' ? named : asked
  if (wanted === 'native') return openNative(isa, options.threads)
  if (wanted) return openPortable({ ...options, backend: wanted, isa })
  try {
    return await openNative(undefined, options.threads)
  } catch (error) {
    const { threads, expectedBytes } = options
    return openPortable({ threads, expectedBytes }, [`native: ${reasonOf(error)}`])
  }
}

function isBackendName(name: string): name is 'auto' | Backend['name'] {
  return BACKENDS.includes(name)
}

async function openPortable(options: BackendOptions, reasons?: string[]): Promise<Backend> {
  const threads = options.threads ?? (await physicalCores())
  return openPortableBackend({ ...options, threads }, reasons)
}

async function openNative(isa: string | undefined, threads: number | undefined): Promise<Backend> {
  const { openNativeBackend } = await import('./native/native-backend.ts')
  return openNativeBackend({
    ...(isa === undefined ? {} : { isa }),
    ...(threads === undefined ? {} : { threads }),
  })
}

/** What the native backend would take; undefined leaves it to the WebAssembly backend. */
async function physicalCores(): Promise<number | undefined> {
  try {
    const { readCpuCores } = await import('./native/cpu-cores.ts')
    return readCpuCores().threads
  } catch {
    return undefined
  }
}

/** A variable of the process, where there is a process; an empty one counts as unset. */
function environment(name: string): string | undefined {
  if (typeof process === 'undefined') return undefined
  const value = process.env[name]
  return value === '' ? undefined : value
}
