/**
 * What a comparison says: its headline, what it was measured on, and its tables.
 */
import type { ShapeComparison } from '../../../node/compare/compare-shapes.ts'
import type { Language } from '../../console/language.ts'
import { energyFact, type MeasuredOn, machineLoad } from '../../console/measurement-facts.ts'
import { formatBytes } from '../../console/quantities.ts'
import { knownFacts, type ReportPart } from '../../console/table.ts'
import { headlineOf } from './compare-headline.ts'
import { reportTables } from './compare-tables.ts'

/** What --json prints. */
export interface ComparisonReport extends ShapeComparison, MeasuredOn {
  /** ISO 8601, when it was done. */
  readonly date: string
  /** Of bitnet-ts. */
  readonly version: string
  /** As it was typed: what measures the same again. */
  readonly command: string
}

export function reportFacts(report: ComparisonReport, language: Language) {
  const { host, backend, energyMeter, groups, date, version, command, runs } = report
  const sequential = groups.filter(({ interleaved }) => !interleaved).map(({ title }) => title)
  const skipped = groups.flatMap(({ title, results }) =>
    results.flatMap((r) => (r.skipped === undefined ? [] : [`${title} ${r.name} ${r.skipped}`])),
  )
  const day = date.slice(0, 16).replace('T', ' ')
  const inTurn = sequential.join(', ') || undefined
  const notRun = skipped.join('; ') || undefined
  const limit = formatBytes(report.memoryLimit)
  const facts =
    language === 'ja'
      ? ([
          ['日時', `${day} UTC`],
          ['コマンド', command],
          ['バージョン', `bitnet-ts ${version}`],
          ['バックエンド', backend.description],
          ['マシン', host.cpu],
          ['メモリの上限', limit],
          ['回数', `各${runs}回、交互に測定`],
          ['順に測定', inTurn && `${inTurn}（同時にメモリに載らないため）`],
          ['未実行', notRun],
        ] as const)
      : ([
          ['date', `${day} UTC`],
          ['command', command],
          ['version', `bitnet-ts ${version}`],
          ['backend', backend.description],
          ['machine', host.cpu],
          ['memory limit', limit],
          ['runs', `${runs} of each, in turns`],
          ['one by one', inTurn && `${inTurn}: not all fit`],
          ['not run', notRun],
        ] as const)
  return knownFacts([...facts, energyFact(energyMeter, language), machineLoad(report, language)])
}

/** For terminals, or to be pasted into a Markdown document. */
export function describeComparison(report: ComparisonReport, language: Language): ReportPart[] {
  const headline = headlineOf(report.groups)
  return [
    ...(headline === undefined ? [] : [{ heading: headline[language] }, '']),
    reportFacts(report, language),
    ...reportTables(report, language).flatMap(({ title, ...table }) => [
      '',
      { heading: title[language] },
      '',
      table,
    ]),
  ]
}
