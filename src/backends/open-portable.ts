/**
 * Opens the backends that run wherever JavaScript does, in Node and in browsers: WebAssembly, and the
 * plain TypeScript of the reference. A backend or variant that is asked for by name is never replaced.
 */
import { checkCounting, messageOf } from '../checks.ts'
import { BackendError, UsageError } from '../errors.ts'
import type { Backend, BackendName } from './backend.ts'
import { createReferenceBackend } from './reference/index.ts'
import { openWasmBackend } from './wasm/wasm-backend.ts'

export interface BackendOptions {
  readonly backend?: 'auto' | BackendName | undefined
  /** Forces a kernel variant, e.g. 'x86-avx2' or 'wasm-simd'. */
  readonly isa?: string | undefined
  /** Threads; unset: the physical cores, or in a browser what it reports. */
  readonly threads?: number | undefined
  /** What will be allocated, as far as is known: more than 4 GiB need another WebAssembly module. */
  readonly expectedBytes?: number | undefined
}

/** The only variant of the reference backend. */
const REFERENCE_ISA = 'typescript'

/** The backend that has a variant of this name; unset where only the native one can. */
export function portableBackendOf(isa: string): 'wasm' | 'reference' | undefined {
  if (isa === REFERENCE_ISA) return 'reference'
  return /^wasm(64)?-/.test(isa) ? 'wasm' : undefined
}

/**
 * 'auto' takes WebAssembly where it runs and otherwise the reference, whose description then says why.
 *
 * @param reasons why faster backends were passed over; added to the description
 * @throws BackendError if what was asked for by name cannot run here
 * @throws UsageError if an option is none of its values
 */
export async function openPortableBackend(
  options: BackendOptions = {},
  reasons: readonly string[] = [],
): Promise<Backend> {
  const { backend = 'auto', isa, threads, expectedBytes } = options
  checkThreads(threads)
  if (backend !== 'auto' && backend !== 'wasm' && backend !== 'reference') {
    throw new UsageError(`Expected backend to be auto, wasm or reference, got "${backend}".`)
  }
  const named = isa === undefined ? undefined : portableBackendOf(isa)
  const wanted = backend === 'auto' ? named : backend
  if (wanted === 'reference') return withReasons(openReference(isa), reasons)
  // A variant that was asked for by name must be the one that runs, or nothing.
  if (wanted === 'wasm' || isa !== undefined) {
    return withReasons(await openWasmBackend({ isa, threads, expectedBytes }), reasons)
  }
  try {
    return withReasons(await openWasmBackend({ threads, expectedBytes }), reasons)
  } catch (error) {
    return withReasons(createReferenceBackend(), [...reasons, `wasm: ${reasonOf(error)}`])
  }
}

/** @throws UsageError unless `threads` is unset or a whole number from 1 on */
export function checkThreads(threads: number | undefined): void {
  if (threads !== undefined) checkCounting('threads', threads)
}

/** The message, without the full stop that the description has no use for. */
export function reasonOf(error: unknown): string {
  const message = messageOf(error)
  return message.replace(/\.$/, '')
}

function openReference(isa: string | undefined): Backend {
  if (isa === undefined || isa === REFERENCE_ISA) return createReferenceBackend()
  throw new BackendError(
    `Expected isa to be ${REFERENCE_ISA} on the reference backend, got "${isa}". Use another ` +
      'backend for other variants.',
  )
}

/** The same backend, with why others were passed over in its description. */
function withReasons(backend: Backend, reasons: readonly string[]): Backend {
  if (reasons.length === 0) return backend
  const description = `${backend.description} (${reasons.join('; ')})`
  return Object.defineProperty(backend, 'description', { value: description, enumerable: true })
}
