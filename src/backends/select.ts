/**
 * Chooses the backend. 'auto' takes the native one where it loads and otherwise the reference, whose
 * description then says why; a backend or instruction set that is asked for by name is never replaced.
 */
import { BackendError, UsageError } from '../errors.ts'
import type { Backend, BackendName } from './backend.ts'
import { createReferenceBackend } from './reference/index.ts'

export interface BackendOptions {
  readonly backend?: 'auto' | BackendName | undefined
  /** Forces a kernel variant, e.g. 'x86-avx2'. */
  readonly isa?: string | undefined
  /** Threads; unset: the physical cores. */
  readonly threads?: number | undefined
}

/** The only variant of the reference backend. */
const REFERENCE_ISA = 'typescript'

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
  if (asked === 'reference' || (asked === 'auto' && isa === REFERENCE_ISA)) {
    return openReference(isa)
  }
  if (asked === 'native') return openNative(isa, options.threads)
  if (asked !== 'auto') {
    throw new UsageError(`Expected backend to be auto, native or reference, got "${asked}".`)
  }
  // A variant that was asked for by name must be the one that runs, or nothing.
  if (isa !== undefined) return openNative(isa, options.threads)
  try {
    return await openNative(undefined, options.threads)
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    return withReason(createReferenceBackend(), `native: ${reason}`)
  }
}

function openReference(isa: string | undefined): Backend {
  if (isa === undefined || isa === REFERENCE_ISA) return createReferenceBackend()
  throw new BackendError(
    `Expected isa to be ${REFERENCE_ISA} on the reference backend, got "${isa}". Use ` +
      'backend native for other variants.',
  )
}

async function openNative(isa: string | undefined, threads: number | undefined): Promise<Backend> {
  const { openNativeBackend } = await import('./native/native-backend.ts')
  return openNativeBackend({
    ...(isa === undefined ? {} : { isa }),
    ...(threads === undefined ? {} : { threads }),
  })
}

/** The same backend, with why it was chosen in its description. */
function withReason(backend: Backend, reason: string): Backend {
  const description = `${backend.description} (${reason})`
  return Object.defineProperty(backend, 'description', { value: description, enumerable: true })
}

function checkThreads(threads: number | undefined): void {
  if (threads === undefined || (Number.isInteger(threads) && threads >= 1)) return
  throw new UsageError(`Expected threads to be a whole number from 1 on, got ${threads}.`)
}

/** A variable of the process, where there is a process; an empty one counts as unset. */
function environment(name: string): string | undefined {
  if (typeof process === 'undefined') return undefined
  const value = process.env[name]
  return value === '' ? undefined : value
}
