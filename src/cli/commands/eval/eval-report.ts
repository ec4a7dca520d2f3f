/** The table of `bitnet eval`: percent with standard errors, beside what guessing would give. */
import type { TaskMetrics } from '../../../eval/metrics.ts'
import type { EvaluationReport } from '../../../node/eval/evaluate-on-disk.ts'
import type { Fact, ReportPart } from '../../console/table.ts'

const HEADER = ['task', 'n', 'acc', 'acc_norm', 'acc_bytes', 'chance', 'majority', 'other']
const NUMBERS = [1, 2, 3, 4, 5, 6]

export function describeEvaluation(report: EvaluationReport): ReportPart[] {
  const tasks = Object.entries(report.results)
  const { config, model } = report
  const rows = tasks.map(([name, metrics]) => row(name, metrics))
  const choices = tasks.flatMap(([, { chance, acc }]) => (chance === undefined ? [] : (acc ?? [])))
  if (choices.length > 1) {
    const mean = choices.reduce((sum, acc) => sum + acc, 0) / choices.length
    rows.push([`mean of ${choices.length}`, '', (100 * mean).toFixed(1), '', '', '', '', ''])
  }
  const facts: Fact[] = [
    ['model', `${model.name}, ${model.backend}`],
    ['examples', `${config.numFewshot}`],
    ['tokenization', `${config.tokenization}, begin token ${config.bos}`],
    ['limit', config.limit === null ? undefined : `${config.limit} items a task`],
  ]
  return [{ header: HEADER, rows, right: NUMBERS }, '', facts]
}

function row(name: string, metrics: TaskMetrics): string[] {
  // One item has no spread.
  const spread = (error: number | undefined) => (metrics.n > 1 ? error : undefined)
  return [
    name,
    String(metrics.n),
    share(metrics.acc, spread(metrics.stderr)),
    share(metrics.acc_norm, spread(metrics.acc_norm_stderr)),
    share(metrics.acc_bytes, spread(metrics.acc_bytes_stderr)),
    share(metrics.chance),
    share(metrics.majority),
    other(metrics),
  ]
}

/** "43.2 ± 1.0", in percent */
function share(value: number | undefined, error?: number): string {
  if (value === undefined) return ''
  const text = (100 * value).toFixed(1)
  return error === undefined ? text : `${text} ± ${(100 * error).toFixed(1)}`
}

function other(metrics: TaskMetrics): string {
  if (metrics.perplexity !== undefined) {
    const { perplexity, perplexity_stderr: error } = metrics
    return `perplexity ${perplexity.toFixed(2)}${error === undefined ? '' : ` ± ${error.toFixed(2)}`}`
  }
  const { word_perplexity: word, byte_perplexity: byte, bits_per_byte: bits = 0 } = metrics
  const leftOut = Object.values(metrics.left_out ?? {}).join(', ')
  if (byte === undefined) return leftOut && `no perplexity: ${leftOut}`
  const words = word === undefined ? 'no word ppl' : `word ppl ${word.toFixed(2)}`
  return `${words}, byte ppl ${byte.toFixed(4)}, bits/byte ${bits.toFixed(4)}`
}
