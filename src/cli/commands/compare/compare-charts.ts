/**
 * The charts of a comparison, for its HTML report and as files.
 */
import type { Bilingual, Chart } from '../../../compare/chart.ts'
import type { ContenderResult } from '../../../compare/compare-contenders.ts'
import { allBytes, measuredRatios, paperRatios } from '../../../compare/paper-figures.ts'
import { formatBytes, formatJoules, formatMilliseconds } from '../../console/quantities.ts'
import type { ComparisonReport } from './compare-report.ts'
import { formatTimes } from './compare-tables.ts'

const BAR_CHARTS: readonly (Pick<Chart, 'id' | 'title' | 'note'> & {
  readonly value: (result: ContenderResult) => number | undefined
  readonly format: (value: number) => string
})[] = [
  {
    id: 'memory',
    title: { en: 'Memory', ja: 'メモリ' },
    note: {
      en: 'Weights, embeddings and the cache of one sequence; less is better.',
      ja: '重み・埋め込み・1系列分のKVキャッシュ。少ないほど良い。',
    },
    value: allBytes,
    format: formatBytes,
  },
  {
    id: 'memory-layers',
    title: { en: 'Memory without embeddings', ja: '埋め込みを除くメモリ' },
    note: { en: 'Bytes of all layers; less is better.', ja: '全層の重み。少ないほど良い。' },
    value: ({ memory }) => memory.layerBytes,
    format: formatBytes,
  },
  {
    id: 'decode-latency',
    title: { en: 'Decode latency', ja: 'デコードの遅延' },
    note: {
      en: 'Time of one token behind the prompt; less is better.',
      ja: 'プロンプト後の1トークンの時間。短いほど良い。',
    },
    value: ({ latency }) => latency?.decodeMs.mean,
    format: formatMilliseconds,
  },
  {
    id: 'prefill-latency',
    title: { en: 'Prefill latency', ja: 'プリフィルの遅延' },
    note: {
      en: 'Time until the first token of the answer; less is better.',
      ja: '最初のトークンが出るまでの時間。短いほど良い。',
    },
    value: ({ latency }) => latency?.prefillMs.mean,
    format: formatMilliseconds,
  },
  {
    id: 'throughput',
    title: { en: 'Throughput', ja: 'スループット' },
    note: {
      en: 'Tokens per second with the largest batch in the memory limit; more is better.',
      ja: 'メモリ上限に収まる最大バッチでの毎秒トークン数。多いほど良い。',
    },
    value: ({ throughput }) => throughput?.tokensPerSecond.mean,
    format: (value) => `${value.toFixed(1)}/s`,
  },
  {
    id: 'energy-7nm',
    title: { en: 'Energy of arithmetic at 7 nm', ja: '演算エネルギー（7 nm）' },
    note: {
      en: 'Estimate for a token by the papers, memory left out: no measurement. Less is better.',
      ja: '論文のモデルによる1トークンの推定値（メモリを含まず、実測ではない）。少ないほど良い。',
    },
    value: ({ estimates }) => estimates[1].joulesPerToken,
    format: formatJoules,
  },
]

export function reportCharts({ groups }: ComparisonReport): Chart[] {
  const series = [...new Set(groups.flatMap(({ results }) => results.map(({ name }) => name)))]
  const bars = BAR_CHARTS.flatMap(({ value, format, ...head }): Chart[] => {
    const drawn = groups.map(({ title, results }) => ({
      label: title,
      bars: results.flatMap((result) => {
        const number = value(result)
        if (number === undefined) return []
        return [{ series: result.name, value: number, text: format(number) }]
      }),
    }))
    const known = drawn.filter((group) => group.bars.length > 0)
    return known.length === 0 ? [] : [{ kind: 'bars', ...head, series, groups: known }]
  })
  return [...bars, ...curves(groups)]
}

/** How much FP16 needs more than b1.58, over sizes, beside the paper's. */
function curves(groups: ComparisonReport['groups']): Chart[] {
  const points = groups.map(({ title, results }) => ({
    here: measuredRatios(results),
    paper: paperRatios(title),
  }))
  if (points.filter(({ here }) => here !== undefined).length < 2) return []
  const chart = (key: 'memory' | 'latency', title: Bilingual): Chart => ({
    kind: 'curves',
    id: `${key}-over-size`,
    title,
    note: {
      en: 'FP16 divided by b1.58; the paper’s are of a GPU (2402.17764). More is better.',
      ja: 'FP16 ÷ b1.58。論文の値はGPU（2402.17764）。大きいほどb1.58が有利。',
    },
    series: ['here', 'paper'],
    labels: groups.map(({ title: size }) => size),
    curves: [
      { series: 'here', values: points.map(({ here }) => here?.[key]) },
      { series: 'paper', values: points.map(({ paper }) => paper?.[key]) },
    ],
    format: formatTimes,
  })
  return [
    chart('memory', { en: 'Memory saved, over size', ja: 'サイズとメモリ削減' }),
    chart('latency', { en: 'Decode latency saved, over size', ja: 'サイズとデコード短縮' }),
  ]
}
