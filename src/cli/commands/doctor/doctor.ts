/**
 * `bitnet doctor`: what machine this is, which backends and kernel variants load and why others do not,
 * how fast each does ternary products, what memory and arithmetic give at all, and what that means for
 * a model of two billion parameters.
 */
import type { GpuFacts } from '../../../backends/webgpu/device.ts'
import { type Expectation, expectationOf } from '../../../bench/expectations.ts'
import { shapeNamed } from '../../../bench/shapes.ts'
import { takesBase3 } from '../../../model/weights/ternary-packing.ts'
import type { AdapterReport } from '../../../node/gpu/adapters.ts'
import type { GpuChoice } from '../../../node/gpu/gpu-choice.ts'
import { imageFolder, listImages } from '../../../node/images/image-folder.ts'
import { type HostFacts, hostFacts } from '../../console/host-facts.ts'
import { cacheNote } from '../../console/measurement-facts.ts'
import {
  counted,
  formatByteRate,
  formatBytes,
  formatMacRate,
  formatMilliseconds,
  formatShare,
} from '../../console/quantities.ts'
import { type Fact, orBlank, type ReportPart } from '../../console/table.ts'
import { defineCommand, type JsonFlag } from '../../define-command.ts'
import {
  type BackendDiagnosis,
  type Diagnosis,
  diagnoseBackends,
  type GpuDiagnosis,
  type LimitDiagnosis,
  PRODUCT,
  PROMPT_TOKENS,
} from './backend-diagnosis.ts'

export interface DoctorReport extends Diagnosis {
  readonly host: HostFacts
  readonly product: { readonly rows: number; readonly cols: number; readonly promptTokens: number }
  /** Packed weights that starts have left in the cache. */
  readonly images: {
    readonly folder: string
    readonly count: number
    readonly byteLength: number
  }
  /** Absent where the machine's limits could not be measured. */
  readonly expectation?: Expectation | undefined
}

export const command = defineCommand<JsonFlag>({
  examples: `\
  $ bitnet doctor
  $ bitnet doctor --json`,
  async run(context) {
    const host = hostFacts()
    const diagnosis = await diagnoseBackends((what) => context.status.show(`Measuring ${what}`))
    const images = await listImages()
    const byteLength = images.reduce((sum, image) => sum + image.byteLength, 0)
    const report: DoctorReport = {
      host,
      product: { rows: PRODUCT.rows, cols: PRODUCT.cols, promptTokens: PROMPT_TOKENS },
      ...diagnosis,
      images: { folder: imageFolder(), count: images.length, byteLength },
      expectation: expectationHere(diagnosis),
    }
    await context.print(report, () => describeMachine(report))
  },
})

/** Of BitNet b1.58 2B-4T on what is chosen, in the packing that loading it would take. */
export function expectationHere({
  backends,
  chosenIsa,
  limits,
}: Pick<Diagnosis, 'backends' | 'chosenIsa' | 'limits'>): Expectation | undefined {
  const limit = limits.at(-1)
  const products = backends.find(({ isa }) => isa === chosenIsa)?.products ?? []
  const [two, fewer] = products.map(({ decode, prefill }) => [
    prefill?.microseconds.min ?? Infinity,
    decode.microseconds.min,
  ])
  const isFewer = fewer !== undefined && takesBase3(fewer[0] / two[0], fewer[1] / two[1])
  const chosen = products[isFewer ? 1 : 0]
  const bytesPerSecond = chosen?.decode.bytesPerSecond
  const macsPerSecond = chosen?.prefill?.macsPerSecond
  if (limit === undefined || 'reason' in limit) return undefined
  if (bytesPerSecond === undefined || macsPerSecond === undefined) return undefined
  const { packing } = chosen
  return expectationOf(shapeNamed('2b-4t'), { packing, bytesPerSecond, macsPerSecond }, limit)
}

export function describeMachine(report: DoctorReport): ReportPart[] {
  const { host, product, limits, expectation, images } = report
  const limit = limits.at(-1)
  const memory = limit && 'readBytesPerSecond' in limit ? limit.readBytesPerSecond : undefined
  const header = ['backend', 'variant', 'threads', 'weights']
  const decode = ['1 token', 'reads', 'of memory']
  const prefill = [`${product.promptTokens} tokens`, 'multiply-adds', 'note']
  return [
    [
      ['node', host.node],
      ['system', `${host.platform} ${host.arch}, ${host.osRelease}`],
      ['processor', `${host.cpu}, ${describeCores(host)}`],
      ['features', host.cpuFeatures?.join(' ') ?? 'the system does not tell'],
      ['load', `${host.loadAverage.toFixed(2)}: other work on the machine makes all speeds lower`],
      ['memory', formatBytes(host.memoryBytes)],
      ...limits.map(describeLimit),
      ['gpu', describeGpu(report.gpu)],
      ...report.adapters.map(describeAdapter),
      ['gpu for auto', describeChoice(report.gpuChoice)],
      ['chosen', report.chosen],
      ['packed images', `${images.count}, ${formatBytes(images.byteLength)} in ${images.folder}`],
    ],
    '',
    `One ternary product, ${product.rows} x ${product.cols}:`,
    {
      header: [...header, ...decode, ...prefill],
      rows: report.backends.flatMap((backend) => describeBackend(backend, memory, report.gpu)),
      right: [2, 4, 5, 6, 7, 8],
    },
    ...cacheNote(report.backends.flatMap((backend) => sharesOf(backend, memory))),
    ...(expectation === undefined ? [] : ['', ...describeExpectation(expectation)]),
  ]
}

function describeCores({ cores }: HostFacts): string {
  const { physicalCores, logicalCpus, quota } = cores
  return [
    ...(physicalCores === undefined ? [] : [counted(physicalCores, 'physical core')]),
    counted(logicalCpus, 'logical processor'),
    ...(quota === undefined ? [] : [`a quota of ${quota} of them`]),
  ].join(', ')
}

function describeLimit(limit: LimitDiagnosis): Fact {
  if ('reason' in limit) return ['limits', `not measured: ${limit.reason}`]
  const reads = formatByteRate(limit.readBytesPerSecond)
  return [
    counted(limit.threads, 'thread'),
    `read ${reads} from memory, and do ${formatMacRate(limit.macsPerSecond)} of int8 in registers`,
  ]
}

function describeGpu(gpu: GpuDiagnosis): string {
  if ('reason' in gpu) return `none: ${gpu.reason}`
  const { readBytesPerSecond: rate, unreadable } = gpu
  return [
    titleOf(gpu),
    ...(rate === undefined ? [] : [`reads ${formatByteRate(rate)} from its memory`]),
    ...(unreadable === undefined ? [] : [`does not run: ${unreadable}`]),
    ...offersOf(gpu),
  ].join('; ')
}

function describeAdapter(adapter: AdapterReport): Fact {
  const { api, name, count } = adapter
  const named = count === 1 ? `${name} (${api})` : `${count} x ${name} (${api})`
  if ('reason' in adapter) return ['adapter', `${named}: does not open: ${adapter.reason}`]
  return ['adapter', [`${named}: ${titleOf(adapter)}`, ...offersOf(adapter)].join('; ')]
}

function titleOf({ title, isSoftware }: GpuFacts): string {
  return isSoftware
    ? `${title}, a processor that does the work of one, which auto never takes`
    : title
}

/** What the shaders may use. */
function offersOf({ limits, features, int8Matrices }: GpuFacts): string[] {
  return [
    `variants: ${int8Matrices ? 'webgpu-matrix ' : ''}webgpu-tuned webgpu-base`,
    `bindings of ${formatBytes(limits.maxStorageBufferBindingSize)}, ` +
      `${limits.maxStorageBuffersPerShaderStage} for a shader`,
    `buffers of ${formatBytes(limits.maxBufferSize)}`,
    `workgroups of ${limits.maxComputeInvocationsPerWorkgroup} ` +
      `(${limits.maxComputeWorkgroupSizeX} in a row) with ` +
      `${formatBytes(limits.maxComputeWorkgroupStorageSize)}`,
    `features: ${features.join(' ') || 'none'}`,
  ]
}

function describeChoice(choice: GpuChoice): string {
  if ('reason' in choice) return `no: ${choice.reason}`
  const [gpu, processors] = [choice.gpuSeconds, choice.processorSeconds].map((seconds) => {
    return formatMilliseconds(seconds * 1000)
  })
  const answer = choice.isFaster ? 'yes' : 'no'
  return `${answer}: a token of a model like ${choice.shape} takes about ${gpu} there, ${processors} on processors`
}

function describeBackend(
  backend: BackendDiagnosis,
  memory: number | undefined,
  gpu: GpuDiagnosis,
): string[][] {
  const { name, isa, threads, products = [] } = backend
  // Why there is no GPU stands above, and is not repeated for each set of shaders.
  const isGpus = 'reason' in gpu && gpu.reason === backend.reason
  const reason = isGpus ? 'no gpu, as above' : (backend.reason ?? '')
  const head = [name, isa, threads === undefined ? '' : `${threads}`]
  if (products.length === 0) return [[...head, '', '', '', '', '', '', reason]]
  return products.map(({ packing, decode, prefill }) => {
    const { bytesPerSecond = 0 } = decode
    return [
      ...head,
      packing === '2bit' ? '2 bits' : '1.6 bits',
      `${decode.microseconds.min.toFixed(0)} us`,
      formatByteRate(bytesPerSecond),
      orBlank(memory, (limit) => formatShare(bytesPerSecond / limit)),
      orBlank(prefill?.microseconds.min, (us) => `${us.toFixed(0)} us`),
      orBlank(prefill?.macsPerSecond, formatMacRate),
      reason,
    ]
  })
}

function sharesOf(
  { products = [] }: BackendDiagnosis,
  memory = Number.POSITIVE_INFINITY,
): number[] {
  return products.map(({ decode }) => (decode.bytesPerSecond ?? 0) / memory)
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
