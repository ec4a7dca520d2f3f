/**
 * Opens every backend and kernel variant in turn, times the ternary product on it, and keeps the
 * reason where one does not run here.
 */
import { availableParallelism } from 'node:os'
import type { Backend, BackendName } from '../backends/backend.ts'
import { createReferenceBackend } from '../backends/reference/index.ts'
import { openBackend } from '../backends/select.ts'
import { openWasmBackend, wasmVariants } from '../backends/wasm/wasm-backend.ts'
import { type ProductTiming, timeProduct } from './product-timing.ts'

export interface BackendDiagnosis {
  readonly name: BackendName
  readonly isa: string
  readonly available: boolean
  readonly threads?: number
  /** Why it does not run. */
  readonly reason?: string
  readonly timing?: ProductTiming
}

export type MemoryBandwidth =
  | { readonly bytesPerSecond: number; readonly threads: number }
  | { readonly reason: string }

interface Diagnosis {
  readonly threads: number
  readonly chosen: string
  readonly backends: readonly BackendDiagnosis[]
  readonly memoryBandwidth: MemoryBandwidth
}

type NativeModule = typeof import('../backends/native/native-backend.ts')

/** 32 copies are 142 MB: more than the caches of a processor, little on any machine of today. */
const KERNEL_COPIES = 32
const KERNEL_BUDGET_MS = 300
/** The plain TypeScript loops take tens of milliseconds a product, whatever cache they read from. */
const REFERENCE_COPIES = 1
const REFERENCE_BUDGET_MS = 200
const BANDWIDTH_BYTES = 512 * 1024 * 1024

/** @param onStep told what is being measured */
export async function diagnoseBackends(onStep: (what: string) => void): Promise<Diagnosis> {
  const chosen = await describeChosen()
  const native = await loadNative()
  const threads = chosen.threads
  const backends: BackendDiagnosis[] = []
  if (typeof native === 'string') {
    backends.push({ name: 'native', isa: '', available: false, reason: native })
  } else {
    for (const { isa, supported, reason } of native.nativeVariants()) {
      onStep(`native ${isa}`)
      backends.push(
        supported
          ? await diagnose('native', isa, () => native.openNativeBackend({ isa, threads }))
          : { name: 'native', isa, available: false, reason: reason ?? 'not on this processor' },
      )
    }
  }
  for (const { isa, supported, reason } of wasmVariants()) {
    onStep(isa)
    backends.push(
      supported
        ? await diagnose('wasm', isa, () => openWasmBackend({ isa, threads }))
        : { name: 'wasm', isa, available: false, reason: reason ?? 'not in this engine' },
    )
  }
  onStep('reference')
  backends.push(await diagnose('reference', 'typescript', () => createReferenceBackend()))
  onStep('memory reads')
  return {
    threads,
    chosen: chosen.description,
    backends,
    memoryBandwidth: await bandwidth(native, threads),
  }
}

/** What runs when nothing is asked for; the environment may force what this machine lacks. */
async function describeChosen(): Promise<{ description: string; threads: number }> {
  try {
    const backend = await openBackend()
    const { description, threads } = backend
    backend.dispose()
    return { description, threads }
  } catch (error) {
    return { description: `none: ${messageOf(error)}`, threads: availableParallelism() }
  }
}

async function diagnose(
  name: BackendName,
  isa: string,
  open: () => Backend | Promise<Backend>,
): Promise<BackendDiagnosis> {
  const [copies, budget] =
    name === 'native' ? [KERNEL_COPIES, KERNEL_BUDGET_MS] : [REFERENCE_COPIES, REFERENCE_BUDGET_MS]
  let backend: Backend | undefined
  try {
    backend = await open()
    const timing = await timeProduct(backend, copies, budget)
    return { name, isa, available: true, threads: backend.threads, timing }
  } catch (error) {
    return { name, isa, available: false, reason: messageOf(error) }
  } finally {
    backend?.dispose()
  }
}

/** The native module, or why it cannot be had. */
async function loadNative(): Promise<NativeModule | string> {
  try {
    const native = await import('../backends/native/native-backend.ts')
    native.nativeVariants()
    return native
  } catch (error) {
    return messageOf(error)
  }
}

async function bandwidth(native: NativeModule | string, threads: number): Promise<MemoryBandwidth> {
  if (typeof native === 'string') return { reason: native }
  try {
    const { measureMemoryBandwidth } = await import('../backends/native/native-operations.ts')
    const { bytesPerSecond } = await measureMemoryBandwidth(threads, BANDWIDTH_BYTES)
    return { bytesPerSecond, threads }
  } catch (error) {
    return { reason: messageOf(error) }
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
