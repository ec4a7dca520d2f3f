/**
 * What the doctor found, for people: facts, a table of the backends, and what it all means.
 */
import type { Expectation } from '../../../bench/expectations.ts'
import type { HostFacts } from '../../console/host-facts.ts'
import {
  formatByteRate,
  formatBytes,
  formatMacRate,
  formatPercent,
} from '../../console/quantities.ts'
import { type Fact, formatFacts, formatTable, orBlank } from '../../console/table.ts'
import type { ImageTotals } from '../inspect/image-facts.ts'
import type { BackendDiagnosis, Diagnosis, LimitDiagnosis } from './backend-diagnosis.ts'

export interface DoctorReport extends Diagnosis {
  readonly host: HostFacts
  readonly product: { readonly rows: number; readonly cols: number; readonly promptTokens: number }
  /** Packed weights that starts have left in the cache. */
  readonly images: ImageTotals
  /** Absent where the machine's limits could not be measured. */
  readonly expectation?: Expectation
}

export function describeMachine(report: DoctorReport): string[] {
  const { host, product, limits, expectation, images } = report
  const limit = limits.at(-1)
  const memory = limit && 'readBytesPerSecond' in limit ? limit.readBytesPerSecond : undefined
  const header = ['backend', 'variant', 'threads', 'weights']
  const decode = ['1 token', 'reads', 'of memory']
  const prefill = [`${product.promptTokens} tokens`, 'multiply-adds', 'note']
  return [
    ...formatFacts([
      ['node', host.node],
      ['system', `${host.platform} ${host.arch}, ${host.osRelease}`],
      ['processor', `${host.cpu}, ${describeCores(host)}`],
      ['features', host.cpuFeatures?.join(' ') ?? 'the system does not tell'],
      ['load', `${host.loadAverage.toFixed(2)}: other work on the machine makes all speeds lower`],
      ['memory', formatBytes(host.memoryBytes)],
      ...limits.flatMap(describeLimit),
      ['chosen', report.chosen],
      ['packed images', `${images.count}, ${formatBytes(images.byteLength)} in ${images.folder}`],
    ]),
    '',
    `One ternary product, ${product.rows} x ${product.cols}:`,
    ...formatTable(
      [...header, ...decode, ...prefill],
      report.backends.flatMap((backend) => describeBackend(backend, memory)),
      [2, 4, 5, 6, 7, 8],
    ),
    ...(expectation === undefined ? [] : ['', ...describeExpectation(expectation)]),
  ]
}

function describeCores({ cores }: HostFacts): string {
  const { physicalCores, logicalCpus, quota } = cores
  return [
    ...(physicalCores === undefined ? [] : [`${physicalCores} physical cores`]),
    `${logicalCpus} logical processors`,
    ...(quota === undefined ? [] : [`a quota of ${quota} of them`]),
  ].join(', ')
}

function describeLimit(limit: LimitDiagnosis): Fact[] {
  if ('reason' in limit) return [['limits', `not measured: ${limit.reason}`]]
  const threads = `${limit.threads} thread${limit.threads === 1 ? '' : 's'}`
  return [
    [
      threads,
      `read ${formatByteRate(limit.readBytesPerSecond)} from memory, and do ` +
        `${formatMacRate(limit.macsPerSecond)} of int8 in registers`,
    ],
  ]
}

function describeBackend(backend: BackendDiagnosis, memory: number | undefined): string[][] {
  const { name, isa, threads, products = [], reason = '' } = backend
  const head = [name, isa, threads === undefined ? '' : `${threads}`]
  if (products.length === 0) return [[...head, '', '', '', '', '', '', reason]]
  return products.map(({ packing, decode, prefill }) => {
    const { bytesPerSecond = 0 } = decode
    return [
      ...head,
      packing === '2bit' ? '2 bits' : '1.6 bits',
      `${decode.microseconds.min.toFixed(0)} us`,
      formatByteRate(bytesPerSecond),
      orBlank(memory, (limit) => formatPercent(bytesPerSecond / limit)),
      orBlank(prefill?.microseconds.min, (us) => `${us.toFixed(0)} us`),
      orBlank(prefill?.macsPerSecond, formatMacRate),
      reason,
    ]
  })
}

function describeExpectation(e: Expectation): string[] {
  return [
    `What that means for ${e.model}, without attention and other small work:`,
    `  decode   about ${rate(e.decode)} tokens/s. A token reads ${formatBytes(e.ternaryBytes)} of ` +
      `ternary weights and ${formatBytes(e.headBytes)} of head (int8); memory alone would allow ` +
      `${rate(e.decodeLimit)}.`,
    `  prefill  about ${rate(e.prefill)} tokens/s. A token takes ` +
      `${(e.ternaryMacs / 1e9).toFixed(2)} G multiply-adds; the integer peak alone would allow ` +
      `${rate(e.prefillLimit)}.`,
  ]
}

function rate(tokensPerSecond: number): string {
  return tokensPerSecond >= 100 ? tokensPerSecond.toFixed(0) : tokensPerSecond.toFixed(1)
}
