/**
 * Opens the backends that run wherever JavaScript does, in Node and in browsers: WebAssembly, and the
 * plain TypeScript of the reference. A backend or variant that is asked for by name is never replaced.
 */
import { checkCounting, messageOf } from '../checks.ts'
import { BackendError, UsageError } from '../errors.ts'
import { BACKENDS, type Backend, type BackendName, type BackendOptions } from './backend.ts'
import type { KernelVariant } from './list-backend.ts'
import { createReferenceBackend } from './reference/index.ts'
import { openWasmBackend, wasmVariants } from './wasm/wasm-backend.ts'

const importWebGpu = () => import('./webgpu/webgpu-backend.ts')

/** One backend, as it is chosen and opened. */
export interface BackendKind {
  /** Whether 'auto' tries it here. Unset: it does. */
  isForAuto?(): Promise<boolean>
  /** The names of its variants; who has other names is the first of all. */
  readonly isas: RegExp
  /**
   * Its variants, fastest first.
   *
   * @throws BackendError if it does not load
   */
  variants(): Promise<readonly KernelVariant[]>
  /**
   * @param fallbacks why faster backends were passed over
   * @throws BackendError if it does not run here, or not as asked
   */
  open(options: BackendOptions, fallbacks: readonly string[]): Promise<Backend>
}

/** WebGPU where it is the platform's own: browsers have it, and some servers. */
const platformGpu = () => globalThis.navigator?.gpu

/** The only variant of the reference backend. */
const REFERENCE_ISA = 'typescript'

export const PORTABLE: Readonly<Record<Exclude<BackendName, 'native'>, BackendKind>> = {
  webgpu: {
    // A GPU in software is slower than WebAssembly.
    isForAuto: async () => {
      const gpu = platformGpu()
      return gpu !== undefined && (await importWebGpu()).hasRealGpu(gpu)
    },
    isas: /^webgpu-/,
    variants: async () => (await importWebGpu()).webGpuVariants(),
    open: async (options, fallbacks) => {
      const { openWebGpuBackend } = await importWebGpu()
      return openWebGpuBackend(platformGpu(), options.isa, fallbacks)
    },
  },
  wasm: {
    isas: /^wasm(64)?-/,
    variants: async () => wasmVariants(),
    open: (options, fallbacks) => openWasmBackend(options, fallbacks),
  },
  reference: {
    isas: /^typescript$/,
    variants: async () => [{ isa: REFERENCE_ISA, supported: true }],
    open: async ({ isa = REFERENCE_ISA }, fallbacks) => {
      if (isa === REFERENCE_ISA) return createReferenceBackend(fallbacks)
      throw new BackendError(
        `Expected isa to be ${REFERENCE_ISA} on the reference backend, got "${isa}". Use another ` +
          'backend for other variants.',
      )
    },
  },
}

/** Whether it has been said that nothing fast runs. */
let hasWarned = false

/**
 * 'auto' takes a GPU if there is one, else WebAssembly where it runs, and otherwise the reference; its description
 * says why then, and the console once.
 *
 * @throws BackendError if what was asked for by name cannot run here
 * @throws UsageError if an option is none of its values
 */
export function openPortableBackend(options: BackendOptions = {}): Promise<Backend> {
  return openOneOf(PORTABLE, options)
}

/**
 * The backend that is asked for, by its name or that of a variant; or the first in order that opens.
 *
 * @throws BackendError | UsageError as {@link openPortableBackend}
 */
export async function openOneOf(
  kinds: Readonly<Partial<Record<BackendName, BackendKind>>>,
  options: BackendOptions,
): Promise<Backend> {
  const { backend: asked = 'auto', isa, threads } = options
  if (threads !== undefined) checkCounting('threads', threads)
  checkBackend(kinds, asked)
  const known = BACKENDS.flatMap((name) => {
    const [kind, reason] = [kinds[name], options.without?.[name]]
    const refuse = () => Promise.reject(new BackendError(reason ?? ''))
    return kind === undefined ? [] : [{ name, ...kind, ...(reason && { open: refuse }) }]
  })
  const named = isa === undefined ? undefined : (known.find((k) => k.isas.test(isa)) ?? known[0])
  const wanted = asked === 'auto' ? named : known.find(({ name }) => name === asked)
  if (wanted !== undefined) return wanted.open(options, [])
  const { without = {} } = options
  const fallbacks = known.flatMap(({ name }) => {
    const reason = without[name]
    return reason === undefined ? [] : [`${name}: ${withoutStop(reason)}`]
  })
  for (const { name, open, isForAuto } of known.slice(0, -1)) {
    if (without[name] !== undefined || (await isForAuto?.()) === false) continue
    try {
      return await open(options, fallbacks)
    } catch (error) {
      // What is asked for wrongly is wrong on all of them.
      if (error instanceof UsageError) throw error
      if (name === 'wasm' && options.wasm !== undefined && (await runsWasm(kinds))) throw error
      fallbacks.push(`${name}: ${withoutStop(messageOf(error))}`)
    }
  }
  if (!hasWarned) {
    hasWarned = true
    console.warn(
      `bitnet-ts runs on TypeScript alone, many times slower than on WebAssembly. ${fallbacks.join('; ')}. ` +
        "If the modules were not copied by a bundler, name them: loadModel(source, { wasm: '/bitnet/' }), " +
        'as docs/browser.md shows.',
    )
  }
  return known[known.length - 1].open(options, fallbacks)
}

/** Whether the engine could run modules, if they were found. */
async function runsWasm({ wasm }: Parameters<typeof openOneOf>[0]): Promise<boolean> {
  return (await wasm?.variants())?.some(({ supported }) => supported) ?? false
}

/** @throws UsageError if there is no such backend here */
export function checkBackend(
  kinds: Readonly<Partial<Record<BackendName, BackendKind>>>,
  asked: string = 'auto',
): void {
  const names = BACKENDS.filter((name) => kinds[name] !== undefined)
  if (asked === 'auto' || names.some((name) => name === asked)) return
  throw new UsageError(`Expected backend to be ${backendChoice(names)}, got "${asked}".`)
}

/** "auto, native, wasm or reference" */
export function backendChoice(names: readonly BackendName[] = BACKENDS): string {
  return `${['auto', ...names.slice(0, -1)].join(', ')} or ${names[names.length - 1]}`
}

/** A message without the full stop that a description has no use for. */
function withoutStop(message: string): string {
  return message.replace(/\.$/, '')
}
