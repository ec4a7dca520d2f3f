/**
 * All adapters that Dawn offers, not only the one that it would choose: a second card, the processor's own graphics, a
 * GPU in software.
 */
/// <reference types="@webgpu/types" />
import { installedGpu, installedGpuFacts } from '../../backends/select.ts'
import type { GpuFacts } from '../../backends/webgpu/device.ts'
import { messageOf } from '../../checks.ts'

/** As Dawn calls it. */
export interface AdapterName {
  /** "vulkan", "metal", "d3d12" */
  readonly api: string
  readonly name: string
}

/** An adapter, with what it offers or why it offers nothing. */
export type AdapterReport = AdapterName & {
  /** How many are called so. */
  readonly count: number
} & (GpuFacts | { readonly reason: string })

/** What no adapter is called: Dawn answers with the names that there are. */
const NO_NAME = 'adapter=(none is called so)'

/** @throws BackendError without the package "webgpu" */
export async function listAdapters(
  open: typeof installedGpu = installedGpu,
  factsOf: typeof installedGpuFacts = installedGpuFacts,
): Promise<readonly AdapterReport[]> {
  const gpu = await open([NO_NAME])
  const answer = await gpu.requestAdapter().then(() => '', messageOf)
  const counts = new Map<string, AdapterName & { count: number }>()
  for (const own of namesIn(answer)) {
    const key = `${own.api} ${own.name}`
    counts.set(key, { ...own, count: 1 + (counts.get(key)?.count ?? 0) })
  }
  const reports: AdapterReport[] = []
  for (const own of counts.values()) {
    const facts = await factsOf([`backend=${own.api}`, `adapter=${own.name}`]).catch((error) => {
      return { reason: messageOf(error) }
    })
    reports.push({ ...own, ...(facts ?? { reason: 'Dawn does not open it' }) })
  }
  return reports
}

/** Names in "Available adapters:", each in a line of its own. */
function namesIn(answer: string): AdapterName[] {
  const found = answer.matchAll(/^ *\* backend: '([^']*)', name: '(.*)'$/gm)
  return Array.from(found, ([, api, name]) => ({ api, name }))
}
