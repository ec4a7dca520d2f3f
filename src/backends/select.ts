/**
 * Chooses the backend in Node. 'auto' takes the native one where it loads, else WebAssembly, else the
 * reference; the description then says why. What is asked for by name is never replaced. Browsers have
 * open-portable.ts alone, so that nothing of the native backend is bundled for them.
 */
/// <reference types="@webgpu/types" />
import { messageOf } from '../checks.ts'
import { BackendError, UsageError } from '../errors.ts'
import { BACKENDS, type Backend, type BackendName, type BackendOptions } from './backend.ts'
import { type BackendKind, backendChoice, openOneOf, PORTABLE } from './open-portable.ts'
import type { GpuFacts } from './webgpu/device.ts'

const importWebGpu = () => import('./webgpu/webgpu-backend.ts')
const importNative = () => import('./native/native-backend.ts')

/** All backends. */
export const KINDS: Readonly<Record<BackendName, BackendKind>> = {
  native: {
    isas: /^(x86|arm|portable)/,
    variants: async () => (await importNative()).nativeVariants(),
    open: async (options, fallbacks) =>
      (await importNative()).openNativeBackend(options, fallbacks),
  },
  ...PORTABLE,
  webgpu: {
    ...PORTABLE.webgpu,
    // Not by itself: node/open-backend.ts measures it against the processors first.
    isForAuto: async () => false,
    open: async ({ isa }, fallbacks) => {
      const [{ openWebGpuBackend }, { uploadedFiles }, gpu] = await Promise.all([
        importWebGpu(),
        import('./native/uploaded-files.ts'),
        installedGpu(),
      ])
      const forced = environment('BITNET_WEBGPU')
      return openWebGpuBackend(gpu, isa ?? (forced && `webgpu-${forced}`), fallbacks, {
        files: uploadedFiles,
      })
    },
  },
  wasm: {
    ...PORTABLE.wasm,
    open: async (options, fallbacks) => {
      const threads = options.threads ?? (await physicalCores())
      return PORTABLE.wasm.open({ ...options, threads }, fallbacks)
    },
  },
}

/** Whether this process has been told already. */
let hasTold = false

/**
 * Opens a backend. Unset options are taken from BITNET_BACKEND and BITNET_ISA, a GPU's variant from
 * BITNET_WEBGPU ("base") where a GPU is opened. Where 'auto' finds no native
 * backend, standard error says once what would bring it: nobody should take the rest for its speed.
 *
 * @throws BackendError if what was asked for by name cannot run here
 * @throws UsageError if an option is none of its values
 */
export async function openBackend(options: BackendOptions = {}): Promise<Backend> {
  const backend = options.backend ?? environment('BITNET_BACKEND') ?? 'auto'
  if (!isBackend(backend)) {
    throw new UsageError(`Expected backend to be ${backendChoice()}, got "${backend}".`)
  }
  await refuseManyThreads(options.threads)
  const isa = options.isa ?? environment('BITNET_ISA')
  const opened = await openOneOf(KINDS, { ...options, backend, isa })
  const missing = opened.fallbacks.find((reason) => reason.startsWith('native: '))
  if (missing !== undefined && !hasTold) {
    hasTold = true
    // On a terminal in place of what progress has left there.
    const start = process.stderr.isTTY ? '\r\u001b[K' : ''
    console.warn(
      `${start}bitnet-ts runs without its native kernels, several times slower. ${missing}`,
    )
  }
  return opened
}

/** More threads than processors only wait for each other; so many more are a slip of the hand. */
const THREADS_PER_PROCESSOR = 8
const THREADS_ANYWHERE = 16

/** @throws UsageError for a count that would take minutes to do what one thread does in a second */
async function refuseManyThreads(threads: number | undefined): Promise<void> {
  if (threads === undefined || threads <= THREADS_ANYWHERE) return
  const { logicalCpus } = (await import('./native/cpu-cores.ts')).readCpuCores()
  const most = Math.max(THREADS_ANYWHERE, THREADS_PER_PROCESSOR * logicalCpus)
  if (threads <= most) return
  throw new UsageError(
    `Expected at most ${most} threads on this machine, which has ${logicalCpus} processors, got ` +
      `${threads}. Leave threads out to take the right number.`,
  )
}

function isBackend(name: string): name is 'auto' | BackendName {
  return name === 'auto' || BACKENDS.some((known) => known === name)
}

/**
 * What Dawn does only when asked. Int8 matrices are behind `allow_unsafe_apis` because their names in WGSL may
 * still change and pages could tell machines apart by them; neither harms a program with its own Dawn. Bounds
 * of memory are checked when commands are recorded and indices written, as for kernels in C, and not once
 * more in every shader (`disable_robustness`), where that costs a quarter of a prompt's speed. Halves, with which
 * Dawn has met faults of NVIDIA's drivers, are for training's products alone, which are tried when a GPU is opened.
 */
const DAWN_FLAGS = [
  'enable-dawn-features=allow_unsafe_apis,disable_robustness,vulkan_enable_f16_on_nvidia',
]

/**
 * WebGPU from the package "webgpu", whose addon is Dawn, the one of Chromium.
 *
 * @param choice flags that choose an adapter; unset: Dawn does
 * @throws BackendError if it is not installed, or does not load
 */
export async function installedGpu(choice: readonly string[] = []): Promise<GPU> {
  try {
    const { create } = await import('webgpu')
    // Of windows, which nobody opens here, a library would complain on standard error where this is unset.
    if (process.platform === 'linux') process.env['XDG_RUNTIME_DIR'] ??= '/tmp'
    return create([...DAWN_FLAGS, ...choice])
  } catch (cause) {
    const isMissing = (cause as NodeJS.ErrnoException).code === 'ERR_MODULE_NOT_FOUND'
    const reason = isMissing ? '' : ` (${messageOf(cause)})`
    throw new BackendError(
      `WebGPU in Node needs the package "webgpu"${reason}: npm install webgpu`,
      { cause },
    )
  }
}

/**
 * The GPU that WebGPU has here.
 *
 * @param choice as of {@link installedGpu}
 * @returns undefined where there is none
 * @throws BackendError without the package "webgpu"
 */
export async function installedGpuFacts(
  choice: readonly string[] = [],
): Promise<GpuFacts | undefined> {
  const [{ gpuFacts }, gpu] = await Promise.all([importWebGpu(), installedGpu(choice)])
  return gpuFacts(gpu)
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
