/**
 * Opens every backend and kernel variant in turn, times the ternary product on it for one token and for
 * a prompt, and keeps the reason where one does not run here. Then measures what the machine itself
 * gives.
 */

import { BACKENDS, type Backend, type BackendName } from '../../../backends/backend.ts'
import { readCpuCores } from '../../../backends/native/cpu-cores.ts'
import { installedGpuFacts, KINDS, openBackend } from '../../../backends/select.ts'
import type { GpuFacts } from '../../../backends/webgpu/device.ts'
import { ternaryCase } from '../../../bench/kernel-cases.ts'
import { type KernelTiming, MOST_COPIES_BYTES, timeKernel } from '../../../bench/kernel-timing.ts'
import { type MachineLimits, measureLimits } from '../../../bench/machine-limits.ts'
import { layerProducts, shapeNamed } from '../../../bench/shapes.ts'
import { modelBytes } from '../../../bench/token-time.ts'
import { messageOf } from '../../../checks.ts'
import type { TernaryPacking } from '../../../kernels/storage.ts'
import { BASE3_ISAS } from '../../../model/weights/ternary-packing.ts'
import { type AdapterReport, listAdapters } from '../../../node/gpu/adapters.ts'
import { type GpuChoice, gpuChoice } from '../../../node/gpu/gpu-choice.ts'
import { bytesBeyondCaches } from '../../console/host-facts.ts'

export interface BackendDiagnosis {
  readonly name: BackendName
  readonly isa: string
  readonly available: boolean
  readonly threads?: number
  /** Why it does not run. */
  readonly reason?: string
  /** One for each packing of ternary weights that the variant is quick at. */
  readonly products?: readonly ProductDiagnosis[]
}

export interface ProductDiagnosis {
  readonly packing: TernaryPacking
  /** With one token, its weights read from memory. */
  readonly decode: KernelTiming
  /** With {@link PROMPT_TOKENS}; not on the reference, which takes seconds. */
  readonly prefill?: KernelTiming
}

export type LimitDiagnosis =
  | (MachineLimits & { readonly threads: number })
  | { readonly reason: string }

export interface Diagnosis {
  readonly threads: number
  /** What `--backend auto` runs here. */
  readonly chosen: string
  readonly chosenIsa: string
  readonly backends: readonly BackendDiagnosis[]
  /** With one thread, and with as many as are chosen. */
  readonly limits: readonly LimitDiagnosis[]
  readonly gpu: GpuDiagnosis
  /** All that Dawn offers. */
  readonly adapters: readonly AdapterReport[]
  /** What 'auto' takes for a model of 2B-4T's size, and by which measurement. */
  readonly gpuChoice: GpuChoice
}

/** The GPU of WebGPU, with how fast its memory is read if it is a real one; or why there is none. */
export type GpuDiagnosis =
  | (GpuFacts & {
      readonly readBytesPerSecond?: number
      /** Why that was not measured. */
      readonly unreadable?: string
    })
  | { readonly reason: string }

/** Of BitNet b1.58 2B-4T, the feed-forward's way down: 2560 x 6912. */
export const PRODUCT = layerProducts(shapeNamed('2b-4t'))[3]
export const PROMPT_TOKENS = 64

const BUDGET_MS = 200

/** The packings that a variant has a product of its own for. */
export function packingsOf({ isa }: Pick<Backend, 'isa'>): readonly TernaryPacking[] {
  return BASE3_ISAS.includes(isa) ? ['2bit', 'base3'] : ['2bit']
}

/** @param onStep told what is being measured */
export async function diagnoseBackends(onStep: (what: string) => void): Promise<Diagnosis> {
  const chosen = await describeChosen()
  const { threads } = chosen
  const backends: BackendDiagnosis[] = []
  for (const name of BACKENDS) backends.push(...(await diagnoseKind(name, chosen, onStep)))
  const limits: LimitDiagnosis[] = []
  for (const count of new Set([1, threads])) {
    onStep(`memory and arithmetic, threads: ${count}`)
    limits.push(await diagnoseLimits(count))
  }
  onStep('the GPU')
  const gpu = await diagnoseGpu().catch((error) => ({ reason: messageOf(error) }))
  const adapters = 'reason' in gpu ? [] : await listAdapters().catch(() => [])
  onStep('the GPU beside the processors')
  const choice = await gpuChoice(modelBytes(shapeNamed('2b-4t')))
  const { description, isa } = chosen
  const found = { backends, limits, gpu, adapters, gpuChoice: choice }
  return { threads, chosen: description, chosenIsa: isa, ...found }
}

async function diagnoseGpu(): Promise<GpuDiagnosis> {
  const facts = await installedGpuFacts()
  if (facts === undefined) return { reason: 'WebGPU finds no GPU and no driver' }
  if (facts.isSoftware) return facts
  const limits = await withBackend(
    // Whatever variant the environment asks for of processors.
    () => KINDS.webgpu.open({}, []),
    (backend) => measureLimits(backend),
  )
  if (limits === undefined) return facts
  if ('reason' in limits) return { ...facts, unreadable: limits.reason }
  return { ...facts, readBytesPerSecond: limits.readBytesPerSecond }
}

/** All variants of a backend, or why it does not load. */
async function diagnoseKind(
  name: BackendName,
  chosen: { readonly isa: string; readonly threads: number },
  onStep: (what: string) => void,
): Promise<BackendDiagnosis[]> {
  const kind = KINDS[name]
  const { threads } = chosen
  // What is promised comes from the chosen one; for the others, large caches may flatter a little.
  const copiesOf = (isa: string) =>
    isa === chosen.isa ? bytesBeyondCaches(MOST_COPIES_BYTES) : undefined
  const diagnoses: BackendDiagnosis[] = []
  try {
    for (const { isa, supported, reason = 'it does not run here' } of await kind.variants()) {
      onStep(isa.startsWith(name) ? isa : `${name} ${isa}`)
      diagnoses.push(
        supported
          ? await diagnose(name, isa, () => kind.open({ isa, threads }, []), copiesOf(isa))
          : { name, isa, available: false, reason },
      )
    }
  } catch (error) {
    diagnoses.push({ name, isa: '', available: false, reason: messageOf(error) })
  }
  return diagnoses
}

/** What runs when nothing is asked for; the environment may force what this machine lacks. */
async function describeChosen(): Promise<{ description: string; isa: string; threads: number }> {
  const chosen = await withBackend(openBackend, async ({ description, isa, threads }) => {
    return { description, isa, threads }
  })
  if (!('reason' in chosen)) return chosen
  return { description: `none: ${chosen.reason}`, isa: '', threads: readCpuCores().threads }
}

/** What `use` makes of a backend, which is closed then, or why that could not be had. */
async function withBackend<T>(
  open: () => Promise<Backend>,
  use: (backend: Backend) => Promise<T>,
): Promise<T | { readonly reason: string }> {
  let backend: Backend | undefined
  try {
    backend = await open()
    return await use(backend)
  } catch (error) {
    return { reason: messageOf(error) }
  } finally {
    await backend?.dispose()
  }
}

async function diagnose(
  name: BackendName,
  isa: string,
  open: () => Promise<Backend>,
  copiesBytes: number | undefined,
): Promise<BackendDiagnosis> {
  const found = await withBackend(open, async (backend) => {
    const products: ProductDiagnosis[] = []
    for (const packing of packingsOf({ isa })) {
      products.push(await diagnoseProduct(backend, packing, copiesBytes))
    }
    return { threads: backend.threads, products }
  })
  return { name, isa, available: !('reason' in found), ...found }
}

async function diagnoseProduct(
  backend: Backend,
  packing: TernaryPacking,
  copiesBytes: number | undefined,
): Promise<ProductDiagnosis> {
  const one = ternaryCase(PRODUCT, 1, packing)
  // Plain TypeScript takes tens of milliseconds a product, whatever cache it reads from.
  if (backend.name === 'reference') {
    return { packing, decode: await timeKernel(backend, one, { budgetMs: 0, maxCopies: 1 }) }
  }
  const many = ternaryCase(PRODUCT, PROMPT_TOKENS, packing)
  return {
    packing,
    decode: await timeKernel(backend, one, {
      budgetMs: BUDGET_MS,
      copiesBytes,
    }),
    prefill: await timeKernel(backend, many, { budgetMs: BUDGET_MS, maxCopies: 1 }),
  }
}

/** On whatever is chosen, with so many threads. */
function diagnoseLimits(threads: number): Promise<LimitDiagnosis> {
  return withBackend(
    () => openBackend({ threads }),
    async (backend) => {
      const limits = await measureLimits(backend, { readBytes: bytesBeyondCaches() })
      if (limits === undefined) return { reason: `${backend.name} is not compiled code` }
      return { threads: backend.threads, ...limits }
    },
  )
}
