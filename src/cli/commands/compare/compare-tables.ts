/**
 * The tables of a comparison, each with its title and its columns in both languages.
 */
import type { Bilingual } from '../../../compare/chart.ts'
import type { ComparedGroup, ContenderResult } from '../../../compare/compare-contenders.ts'
import { allBytes, measuredRatios, paperRatios } from '../../../compare/paper-figures.ts'
import type { SpeculationGain } from '../../../compare/speculation-gain.ts'
import type { ShapeComparison } from '../../../node/compare/compare-shapes.ts'
import type { Language } from '../../console/language.ts'
import {
  formatBytes,
  formatJoules,
  formatMilliseconds,
  formatPercent,
  formatSpread,
} from '../../console/quantities.ts'
import { orBlank, type Table, tableOf } from '../../console/table.ts'

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

/** A column's title in both languages, and what it shows. */
type BilingualColumn<T> = readonly [
  en: string,
  ja: string,
  cell: (line: T, language: Language) => string,
]

const NOT_RUN: Bilingual = { en: 'not run', ja: '未実行' }

const NAMES: readonly BilingualColumn<Line>[] = [
  ['size', 'サイズ', ({ group }) => group.title],
  ['weights', '重み', ({ result }) => result.name],
]

const MEMORY: readonly BilingualColumn<Line>[] = [
  ['layers', '層', ({ result }) => formatBytes(result.memory.layerBytes)],
  ['embedding, head', '埋め込みとヘッド', ({ result }) => formatBytes(result.memory.tableBytes)],
  ['KV cache', 'KVキャッシュ', ({ result }) => formatBytes(result.cacheBytes)],
  ['all', '合計', ({ result }) => formatBytes(allBytes(result))],
  ['layers: times less', '層の削減', timesLess(({ memory }) => memory.layerBytes)],
  ['all: times less', '合計の削減', timesLess(allBytes)],
]

const SPEED: readonly BilingualColumn<Line>[] = [
  ['prompt', 'プロンプト', latency(({ prefillMs }) => formatMilliseconds(prefillMs.mean))],
  ['times faster', '速さの比', timesLess(({ latency }) => latency?.prefillMs.mean)],
  ['ms/token', 'ms/トークン', latency(({ decodeMs }) => formatSpread(decodeMs))],
  ['tokens/s', 'トークン/秒', latency(({ decodeMs }) => (1000 / decodeMs.mean).toFixed(1))],
  ['times faster', '速さの比', timesLess(({ latency }) => latency?.decodeMs.mean)],
  ["head's share", 'ヘッドの割合', ({ result }) => formatPercent(result.headShare)],
  ['largest batch', '最大バッチ', ({ result }) => String(result.throughput?.batch ?? '')],
  [
    'tokens/s of it',
    'そのトークン/秒',
    ({ result: { throughput } }) => (throughput ? formatSpread(throughput.tokensPerSecond) : ''),
  ],
]

const ENERGY: readonly BilingualColumn<Line>[] = [
  ['45 nm', '45 nm', ({ result }) => formatJoules(result.estimates[0].joulesPerToken)],
  ['7 nm', '7 nm', ({ result }) => formatJoules(result.estimates[1].joulesPerToken)],
  ['7 nm: times less', '7 nmでの削減', timesLess((result) => result.estimates[1].joulesPerToken)],
  [
    'measured, decode',
    '実測、デコード',
    ({ result }) => orBlank(result.latency?.decodeJoules?.mean, formatJoules),
  ],
  [
    'measured, prefill',
    '実測、プリフィル',
    ({ result }) => orBlank(result.latency?.prefillJoules?.mean, formatJoules),
  ],
]

const GUESSES: readonly BilingualColumn<GuessedLine>[] = [
  ['guesses of', '予測するもの', ({ gain }) => gain.guesser],
  ['prompt', 'プロンプト', ({ gain }) => String(gain.promptTokens)],
  ['tokens', 'トークン', ({ gain }) => String(gain.tokens)],
  [
    'tokens/s without',
    '使わないトークン/秒',
    ({ gain }) => formatSpread(gain.plainTokensPerSecond),
  ],
  ['with', '使うトークン/秒', ({ gain }) => formatSpread(gain.tokensPerSecond)],
  [
    'times faster',
    '速さの比',
    ({ gain }) => formatTimes(gain.tokensPerSecond.mean / gain.plainTokensPerSecond.mean),
  ],
  ['accepted', '的中率', ({ gain }) => formatPercent(gain.acceptanceRate)],
  ['tokens a pass', 'パスあたり', ({ gain }) => gain.tokensPerPass.toFixed(2)],
]

export function reportTables(report: ShapeComparison, language: Language): TitledTable[] {
  const lines = report.groups.flatMap((group) =>
    group.results.map((result): Line => ({ group, result, base: group.results[0] })),
  )
  const guessed = lines.flatMap((line) =>
    (line.result.speculation ?? []).map((gain) => ({ ...line, gain })),
  )
  const { promptTokens, decodeTokens } = report
  const positions = promptTokens + decodeTokens
  const table = <T extends Line>(
    of: readonly T[],
    columns: readonly BilingualColumn<T>[],
    title: Bilingual,
  ): TitledTable => {
    const shown = [...NAMES, ...columns].map(([en, ja, cell]) => ({
      title: { en, ja }[language],
      cell: (line: T) => cell(line, language),
    }))
    return { title, ...tableOf(shown, of, NAMES.length) }
  }
  const tasks = accuracyColumns(lines)
  return [
    table(lines, MEMORY, {
      en: `Memory, with a cache of ${positions} positions`,
      ja: `メモリ（KVキャッシュ${positions}位置）`,
    }),
    table(lines, SPEED, {
      en: `Speed: a prompt of ${promptTokens} tokens, then ${decodeTokens} one by one`,
      ja: `速さ（プロンプト${promptTokens}トークン、続けて${decodeTokens}トークンを1つずつ生成）`,
    }),
    ...(guessed.length === 0
      ? []
      : [
          table(guessed, GUESSES, {
            en: 'Guessing tokens ahead: a greedy answer without and with it, the same text',
            ja: '投機的デコード（確率最大の同じ文章を、使わない場合と使う場合で）',
          }),
        ]),
    table(lines, ENERGY, {
      en: "Energy of a token: the papers' arithmetic alone, without memory, and what was measured",
      ja: '1トークンのエネルギー（論文の式による演算だけの推定値。メモリは含まない。実測できたものは実測も）',
    }),
    ...(tasks.length === 0
      ? []
      : [
          table(lines, tasks, {
            en: 'Accuracy in percent with one standard error, or perplexity a word',
            ja: '正解率（％、標準誤差つき）、または単語あたりのパープレキシティ',
          }),
        ]),
    ...paperTable(report.groups, language),
  ]
}

function accuracyColumns(lines: readonly Line[]): BilingualColumn<Line>[] {
  const tasks = new Set(lines.flatMap(({ result }) => Object.keys(result.accuracy ?? {})))
  return [...tasks].map((task) => {
    const cell = ({ result }: Line) => {
      const found = result.accuracy?.[task]
      if (found === undefined) return ''
      const { acc, stderr = 0, word_perplexity: perplexity } = found
      if (acc !== undefined) return `${(100 * acc).toFixed(1)} ± ${(100 * stderr).toFixed(1)}`
      return perplexity === undefined ? '' : `ppl ${perplexity.toFixed(2)}`
    }
    return [task, task, cell]
  })
}

function paperTable(groups: readonly ComparedGroup[], language: Language): TitledTable[] {
  const rows = groups.flatMap(({ title, results }) => {
    const paper = paperRatios(title)
    const here = measuredRatios(results)
    if (paper === undefined || here === undefined) return []
    const speed = here.latency === undefined ? NOT_RUN[language] : formatTimes(here.latency)
    const memory = [here.memory, paper.memory].map(formatTimes)
    return [[title, 'fp16 / b1.58', ...memory, speed, formatTimes(paper.latency)]]
  })
  if (rows.length === 0) return []
  const title = {
    en: 'Beside the b1.58 paper, whose figures are of a GPU',
    ja: 'b1.58論文（GPUでの値）との比較',
  }
  const header = {
    en: ['size', 'ratio', 'memory', 'paper', 'decode latency', 'paper'],
    ja: ['サイズ', '比', 'メモリ', '論文', 'デコードの遅延', '論文'],
  }[language]
  return [{ title, header, rows, right: [2, 3, 4, 5] }]
}

function latency(format: (value: NonNullable<ContenderResult['latency']>) => string) {
  return ({ result }: Line, language: Language) => {
    if (result.latency !== undefined) return format(result.latency)
    return result.skipped === undefined ? '' : NOT_RUN[language]
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
