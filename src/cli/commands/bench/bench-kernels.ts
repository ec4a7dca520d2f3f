/**
 * `bitnet bench --kernels`: single operations at the shapes of a published model, as shares of what
 * memory and the integer instructions give.
 */

import { loadavg } from 'node:os'
import type { Backend } from '../../../backends/backend.ts'
import { openBackend } from '../../../backends/select.ts'
import {
  type KernelTiming,
  kernelCases,
  MOST_COPIES_BYTES,
  timeKernel,
} from '../../../bench/kernel-timing.ts'
import { type MachineLimits, measureLimits } from '../../../bench/machine-limits.ts'
import { shapeNamed } from '../../../bench/shapes.ts'
import { UsageError } from '../../../errors.ts'
import type { TernaryPacking } from '../../../kernels/storage.ts'
import type { CommandContext } from '../../command-context.ts'
import { bytesBeyondCaches, hostFacts } from '../../console/host-facts.ts'
import {
  cacheNote,
  limitFacts,
  type MeasuredOn,
  machineLoad,
} from '../../console/measurement-facts.ts'
import {
  formatByteRate,
  formatMacRate,
  formatPercent,
  formatShare,
} from '../../console/quantities.ts'
import { type Fact, orBlank, type ReportPart, type TableStyle } from '../../console/table.ts'
import type { ModelFlags } from '../../flags/load-flags.ts'
import { packingsOf } from '../doctor/backend-diagnosis.ts'

export interface KernelBenchFlags extends ModelFlags, TableStyle {
  /** Unset: 2b-4t. */
  readonly shape?: string
  /** Unset: all operations. */
  readonly only?: string
}

interface KernelReport extends MeasuredOn {
  readonly shape: string
  readonly model: string
  readonly backend: { readonly description: string; readonly isa: string; readonly threads: number }
  /** Absent on the reference backend. */
  readonly limits?: MachineLimits
  readonly kernels: readonly KernelTiming[]
}

/** Of each operation; two dozen of them take some ten seconds. */
const BUDGET_MS = 250

export async function benchKernels(
  flags: KernelBenchFlags,
  context: CommandContext,
): Promise<void> {
  const { signal, status } = context
  const name = flags.shape ?? '2b-4t'
  const shape = shapeNamed(name)
  const host = hostFacts()
  const backend = await openBackend(flags)
  await context.warnOfThreads(flags.threads)
  try {
    const options = { kv: flags.kv ?? 'f16', packings: packingsAsked(flags, backend) } as const
    const cases = kernelCases(shape, options).filter((kernel) =>
      kernel.name.includes(flags.only ?? ''),
    )
    if (cases.length === 0) {
      throw new UsageError(
        `Expected --only to be a part of an operation's name, e.g. qkv, got "${flags.only}".`,
      )
    }
    status.show('Measuring memory and arithmetic')
    const limits = await measureLimits(backend, { readBytes: bytesBeyondCaches() })
    const copiesBytes = bytesBeyondCaches(MOST_COPIES_BYTES)
    const kernels: KernelTiming[] = []
    for (const kernel of cases) {
      status.show(`Timing ${kernel.name}`)
      kernels.push(await timeKernel(backend, kernel, { budgetMs: BUDGET_MS, copiesBytes, signal }))
    }
    const { description } = backend
    const report: KernelReport = {
      shape: name,
      model: shape.title,
      backend: { description, isa: backend.isa, threads: backend.threads },
      host,
      ...(limits === undefined ? {} : { limits }),
      kernels,
      loadAverageAfter: loadavg()[0],
    }
    await context.print(report, () => describeReport(report))
  } finally {
    await backend.dispose()
  }
}

function describeReport({ limits, ...report }: KernelReport): ReportPart[] {
  const { host, backend } = report
  const share = (rate: number | undefined, limit: number | undefined): string =>
    rate === undefined || limit === undefined ? '' : formatPercent(rate / limit)
  const memory = limits?.readBytesPerSecond
  const rows = report.kernels.map(
    ({ name, microseconds, bytesPerSecond, macsPerSecond, isTernary }) => [
      name,
      `${microseconds.min.toFixed(1)} us`,
      `${microseconds.mean.toFixed(1)} us`,
      orBlank(bytesPerSecond, formatByteRate),
      orBlank(bytesPerSecond, (rate) => orBlank(memory, (limit) => formatShare(rate / limit))),
      orBlank(macsPerSecond, formatMacRate),
      isTernary ? share(macsPerSecond, limits?.macsPerSecond) : '',
    ],
  )
  const header = ['operation', 'fastest', 'mean', 'reads', 'of memory', 'multiply-adds', 'of peak']
  const facts: Fact[] = [
    ['shapes', `${report.model} (${report.shape})`],
    ['backend', backend.description],
    ['machine', host.cpu],
    ...limitFacts(limits),
    machineLoad(report),
  ]
  return [
    facts,
    '',
    { header, rows, right: [1, 2, 3, 4, 5, 6] },
    ...cacheNote(
      report.kernels.map((kernel) => (kernel.bytesPerSecond ?? 0) / (memory ?? Infinity)),
    ),
    '',
    'Rates are those of the fastest pass. Weights and caches are read from memory, not from a cache.',
  ]
}

function packingsAsked({ weights }: KernelBenchFlags, backend: Backend): readonly TernaryPacking[] {
  return weights === undefined || weights === 'auto' ? packingsOf(backend) : [weights]
}
