/**
 * What a comparison says: tables for terminals, Markdown and HTML, all of the same cells.
 */

import type { Bilingual } from '../../../compare/chart.ts'
import type { ComparedGroup, ContenderResult } from '../../../compare/compare-contenders.ts'
import { allBytes, measuredRatios, paperRatios } from '../../../compare/paper-figures.ts'
import type { SpeculationGain } from '../../../compare/speculation-gain.ts'
import type { ShapeComparison } from '../../../node/compare/compare-shapes.ts'
import { energyFact, type MeasuredOn, machineLoad } from '../../console/measurement-facts.ts'
import {
  formatBytes,
  formatJoules,
  formatMilliseconds,
  formatPercent,
  formatSpread,
} from '../../console/quantities.ts'
import {
  type Column,
  knownFacts,
  orBlank,
  type ReportPart,
  type Table,
  tableOf,
} from '../../console/table.ts'

/** What --json prints. */
export interface ComparisonReport extends ShapeComparison, MeasuredOn {}

interface Line {
  readonly group: ComparedGroup
  readonly result: ContenderResult
  /** The first column, which the others are compared with. */
  readonly base: ContenderResult
}

interface GuessedLine extends Line {
  readonly gain: SpeculationGain
}

interface TitledTable extends Table {
  readonly title: Bilingual
}

const NAMES: readonly Column<Line>[] = [
  { title: 'size', cell: ({ group }) => group.title },
  { title: 'weights', cell: ({ result }) => result.name },
]

const MEMORY: readonly Column<Line>[] = [
  { title: 'layers', cell: ({ result }) => formatBytes(result.memory.layerBytes) },
  { title: 'embedding, head', cell: ({ result }) => formatBytes(result.memory.tableBytes) },
  { title: 'KV cache', cell: ({ result }) => formatBytes(result.cacheBytes) },
  { title: 'all', cell: ({ result }) => formatBytes(allBytes(result)) },
  { title: 'layers: times less', cell: timesLess(({ memory }) => memory.layerBytes) },
  { title: 'all: times less', cell: timesLess(allBytes) },
]

const SPEED: readonly Column<Line>[] = [
  { title: 'prompt', cell: latency(({ prefillMs }) => formatMilliseconds(prefillMs.mean)) },
  { title: 'times faster', cell: timesLess(({ latency }) => latency?.prefillMs.mean) },
  { title: 'ms/token', cell: latency(({ decodeMs }) => formatSpread(decodeMs)) },
  { title: 'tokens/s', cell: latency(({ decodeMs }) => (1000 / decodeMs.mean).toFixed(1)) },
  { title: 'times faster', cell: timesLess(({ latency }) => latency?.decodeMs.mean) },
  { title: "head's share", cell: ({ result }) => formatPercent(result.headShare) },
  { title: 'largest batch', cell: ({ result }) => String(result.throughput?.batch ?? '') },
  {
    title: 'tokens/s of it',
    cell: ({ result: { throughput } }) =>
      throughput ? formatSpread(throughput.tokensPerSecond) : '',
  },
]

const ENERGY: readonly Column<Line>[] = [
  { title: '45 nm', cell: ({ result }) => formatJoules(result.estimates[0].joulesPerToken) },
  { title: '7 nm', cell: ({ result }) => formatJoules(result.estimates[1].joulesPerToken) },
  { title: '7 nm: times less', cell: timesLess((result) => result.estimates[1].joulesPerToken) },
  {
    title: 'measured, decode',
    cell: ({ result }) => orBlank(result.latency?.decodeJoules?.mean, formatJoules),
  },
  {
    title: 'measured, prefill',
    cell: ({ result }) => orBlank(result.latency?.prefillJoules?.mean, formatJoules),
  },
]

const GUESSES: readonly Column<GuessedLine>[] = [
  { title: 'guesses of', cell: ({ gain }) => gain.guesser },
  { title: 'prompt', cell: ({ gain }) => String(gain.promptTokens) },
  { title: 'tokens', cell: ({ gain }) => String(gain.tokens) },
  { title: 'tokens/s without', cell: ({ gain }) => formatSpread(gain.plainTokensPerSecond) },
  { title: 'with', cell: ({ gain }) => formatSpread(gain.tokensPerSecond) },
  {
    title: 'times faster',
    cell: ({ gain }) => formatTimes(gain.tokensPerSecond.mean / gain.plainTokensPerSecond.mean),
  },
  { title: 'accepted', cell: ({ gain }) => formatPercent(gain.acceptanceRate) },
  { title: 'tokens a pass', cell: ({ gain }) => gain.tokensPerPass.toFixed(2) },
]

const GUESSES_TITLE = {
  en: 'Guessing tokens ahead: a greedy answer without and with it, the same text',
  ja: '投機的デコード（貪欲法の同じ文章を、使わない場合と使う場合で）',
}

export function reportTables(report: ComparisonReport): TitledTable[] {
  const lines = report.groups.flatMap((group) =>
    group.results.map((result): Line => ({ group, result, base: group.results[0] })),
  )
  const guessed = lines.flatMap((line) =>
    (line.result.speculation ?? []).map((gain) => ({ ...line, gain })),
  )
  const positions = report.promptTokens + report.decodeTokens
  return [
    linesTable(lines, MEMORY, {
      en: `Memory, with a cache of ${positions} positions`,
      ja: `メモリ（KVキャッシュ${positions}位置）`,
    }),
    linesTable(lines, SPEED, {
      en: `Speed: a prompt of ${report.promptTokens} tokens, then ${report.decodeTokens} one by one`,
      ja: `速度（プロンプト${report.promptTokens}トークン、続けて${report.decodeTokens}トークンを逐次生成）`,
    }),
    ...(guessed.length === 0 ? [] : [linesTable(guessed, GUESSES, GUESSES_TITLE)]),
    linesTable(lines, ENERGY, {
      en: "Energy of a token: the papers' arithmetic alone, without memory, and what was measured",
      ja: '1トークンのエネルギー（論文の演算モデルによる推定と実測）',
    }),
    ...accuracyTable(lines),
    ...paperTable(report.groups),
  ]
}

export function reportFacts(report: ComparisonReport) {
  const { host, backend, energyMeter, groups } = report
  const sequential = groups.filter(({ interleaved }) => !interleaved).map(({ title }) => title)
  const skipped = groups.flatMap(({ title, results }) =>
    results.flatMap((r) => (r.skipped === undefined ? [] : [`${title} ${r.name} ${r.skipped}`])),
  )
  return knownFacts([
    ['backend', backend.description],
    ['machine', host.cpu],
    ['memory limit', formatBytes(report.memoryLimit)],
    ['runs', `${report.runs} of each, in turns`],
    ['one by one', sequential.length === 0 ? undefined : `${sequential.join(', ')}: not all fit`],
    ['not run', skipped.length === 0 ? undefined : skipped.join('; ')],
    energyFact(energyMeter),
    machineLoad(report),
  ])
}

/** For terminals, or to be pasted into a Markdown document. */
export function describeComparison(report: ComparisonReport): ReportPart[] {
  return [
    reportFacts(report),
    ...reportTables(report).flatMap(({ title, ...table }) => [
      '',
      { heading: title.en },
      '',
      table,
    ]),
  ]
}

function linesTable<T extends Line>(
  lines: readonly T[],
  columns: readonly Column<T>[],
  title: Bilingual,
): TitledTable {
  return { title, ...tableOf([...NAMES, ...columns], lines, NAMES.length) }
}

function accuracyTable(lines: readonly Line[]): TitledTable[] {
  const tasks = new Set(lines.flatMap(({ result }) => Object.keys(result.accuracy ?? {})))
  if (tasks.size === 0) return []
  const columns = [...tasks].map((task) => ({
    title: task,
    cell: ({ result }: Line) => {
      const found = result.accuracy?.[task]
      if (found === undefined) return ''
      const { acc, stderr = 0, word_perplexity: perplexity } = found
      if (acc !== undefined) return `${(100 * acc).toFixed(1)} ± ${(100 * stderr).toFixed(1)}`
      return perplexity === undefined ? '' : `ppl ${perplexity.toFixed(2)}`
    },
  }))
  return [
    linesTable(lines, columns, {
      en: 'Accuracy in percent with one standard error, or perplexity a word',
      ja: '正答率（％、標準誤差つき）または単語あたりのパープレキシティ',
    }),
  ]
}

function paperTable(groups: readonly ComparedGroup[]): TitledTable[] {
  const rows = groups.flatMap(({ title, results }) => {
    const paper = paperRatios(title)
    const here = measuredRatios(results)
    if (paper === undefined || here === undefined) return []
    const speed = here.latency === undefined ? 'not run' : formatTimes(here.latency)
    const memory = [here.memory, paper.memory].map(formatTimes)
    return [[title, 'fp16 / b1.58', ...memory, speed, formatTimes(paper.latency)]]
  })
  if (rows.length === 0) return []
  const title = {
    en: 'Beside the b1.58 paper, whose figures are of a GPU',
    ja: 'b1.58論文（GPUでの値）との比較',
  }
  const header = ['size', 'ratio', 'memory', 'paper', 'decode latency', 'paper']
  return [{ title, header, rows, right: [2, 3, 4, 5] }]
}

function latency(format: (value: NonNullable<ContenderResult['latency']>) => string) {
  return ({ result }: Line) => {
    if (result.latency !== undefined) return format(result.latency)
    return result.skipped === undefined ? '' : 'not run'
  }
}

/** How many times the base's value is that of the result; higher is better for the result. */
function timesLess(value: (result: ContenderResult) => number | undefined) {
  return ({ result, base }: Line) => {
    const [more, less] = [value(base), value(result)]
    return more === undefined || less === undefined ? '' : formatTimes(more / less)
  }
}

/** "7.96 x" */
export function formatTimes(ratio: number): string {
  return `${ratio.toFixed(2)} x`
}
