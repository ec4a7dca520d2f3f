/**
 * `bitnet doctor`: what machine this is, which backends and kernel variants load and why others do
 * not, how fast each does one ternary product, and how fast memory can be read at all.
 */
import type { Command } from 'commander'
import {
  type BackendDiagnosis,
  diagnoseBackends,
  type MemoryBandwidth,
} from './backend-diagnosis.ts'
import { type HostFacts, hostFacts } from './host-facts.ts'
import { PRODUCT_SHAPE } from './product-timing.ts'
import { formatBytes, formatPercent } from './quantities.ts'
import { EXIT, type Surroundings } from './surroundings.ts'
import { formatFacts, formatTable } from './table.ts'
import { StatusLine, writeJson, writeLine } from './terminal.ts'

export interface DoctorFlags {
  readonly json?: boolean
}

export interface DoctorReport {
  readonly host: HostFacts
  readonly threads: number
  /** What `--backend auto` runs here. */
  readonly chosen: string
  readonly product: { readonly rows: number; readonly cols: number; readonly tokens: 1 }
  readonly backends: readonly BackendDiagnosis[]
  readonly memoryBandwidth: MemoryBandwidth
}

export function addDoctorCommand(
  program: Command,
  run: (flags: DoctorFlags) => Promise<void>,
): void {
  program
    .command('doctor')
    .description('show what runs on this machine, and how fast')
    .option('--json', 'print one JSON object, and nothing else, on standard output')
    .addHelpText(
      'after',
      `
Examples:
  $ bitnet doctor
  $ bitnet doctor --json`,
    )
    .action(run)
}

/** @returns the exit code */
export async function runDoctor(
  flags: DoctorFlags,
  { stdout, stderr }: Surroundings,
): Promise<number> {
  const line = new StatusLine(stderr)
  try {
    const diagnosis = await diagnoseBackends((what) => line.show(`Measuring ${what}`))
    line.clear()
    const report: DoctorReport = {
      host: hostFacts(),
      product: { ...PRODUCT_SHAPE, tokens: 1 },
      ...diagnosis,
    }
    if (flags.json) await writeJson(stdout, report)
    else await writeLine(stdout, describeMachine(report).join('\n'))
    return EXIT.ok
  } finally {
    line.clear()
  }
}

export function describeMachine(report: DoctorReport): string[] {
  const { host, memoryBandwidth } = report
  const peak = 'bytesPerSecond' in memoryBandwidth ? memoryBandwidth.bytesPerSecond : undefined
  return [
    ...formatFacts([
      ['node', host.node],
      ['system', `${host.platform} ${host.arch}, ${host.osRelease}`],
      ['processor', `${host.cpu}, ${host.logicalCpus} logical processors`],
      ['features', host.cpuFeatures?.join(' ') ?? 'the system does not tell'],
      ['load', `${host.loadAverage.toFixed(2)}: other work on the machine makes all speeds lower`],
      ['memory', formatBytes(host.memoryBytes)],
      [
        'memory reads',
        peak === undefined
          ? `not measured: ${'reason' in memoryBandwidth ? memoryBandwidth.reason : ''}`
          : `${formatBytes(peak)}/s with ${report.threads} threads`,
      ],
      ['chosen', report.chosen],
    ]),
    '',
    `One ternary product, ${report.product.rows} x ${report.product.cols}, for one token:`,
    ...formatTable(
      ['backend', 'variant', 'threads', 'time', 'weights/s', 'reads', 'of memory', 'note'],
      report.backends.map((backend) => describeBackend(backend, peak)),
      [2, 3, 4, 5, 6],
    ),
  ]
}

function describeBackend(backend: BackendDiagnosis, peak: number | undefined): string[] {
  const { timing } = backend
  const head = [
    backend.name,
    backend.isa,
    backend.threads === undefined ? '' : `${backend.threads}`,
  ]
  if (timing === undefined) return [...head, '', '', '', '', backend.reason ?? '']
  return [
    ...head,
    `${timing.microseconds.toFixed(0)} us`,
    `${(timing.weightsPerSecond / 1e9).toFixed(1)} G`,
    `${formatBytes(timing.bytesPerSecond)}/s`,
    peak === undefined ? '' : formatPercent(timing.bytesPerSecond / peak),
    backend.reason ?? '',
  ]
}
