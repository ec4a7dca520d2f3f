/**
 * From log-likelihoods to the numbers of a table, by the harness's rules: the first of equal maxima
 * wins, acc_norm divides by the characters (code points) of a choice, acc_bytes by its bytes of UTF-8,
 * and a standard error is the samples' deviation over the root of their number.
 */
import { splitAtSpace } from '../jinja/text.ts'
import type { SequenceScore } from './score-groups.ts'
import type { TaskItem, TaskKind } from './task.ts'

/** Why perplexities that should be there are not, by their names. */
export type LeftOut = Readonly<Record<string, string>>

/** What one item came to; one line of `--samples`. */
export interface ItemResult {
  /** Place in the dataset, from 0. */
  readonly index: number
  /** One a choice. */
  readonly scores: readonly SequenceScore[]
}

/** The numbers of a task, by the names the harness has for them. */
export interface TaskMetrics {
  readonly n: number
  readonly acc?: number
  /** Standard error of `acc`. */
  readonly stderr?: number
  readonly acc_norm?: number
  readonly acc_norm_stderr?: number
  readonly acc_bytes?: number
  readonly acc_bytes_stderr?: number
  readonly perplexity?: number
  /** Of the mean log-likelihood, carried over to the perplexity. */
  readonly perplexity_stderr?: number
  readonly word_perplexity?: number
  readonly byte_perplexity?: number
  readonly bits_per_byte?: number
  readonly left_out?: LeftOut
  /** Accuracy of guessing among the choices. */
  readonly chance?: number
  /** Accuracy of always taking the place that is right most often. */
  readonly majority?: number
}

/** The choices that each rule takes. */
export interface Predictions {
  readonly acc: number
  readonly acc_norm: number
  readonly acc_bytes: number
}

export function predictionsOf(item: TaskItem, scores: readonly SequenceScore[]): Predictions {
  const by = (length: (choice: string) => number): number =>
    firstLargest(scores.map(({ logLikelihood }, i) => logLikelihood / length(item.choices[i])))
  return {
    acc: by(() => 1),
    acc_norm: by((choice) => [...choice].length),
    acc_bytes: by(utf8Length),
  }
}

/** @param items by their place in the dataset */
export function metricsOf(
  kind: TaskKind,
  items: readonly TaskItem[],
  results: readonly ItemResult[],
): TaskMetrics {
  if (results.length === 0) return { n: 0 }
  // Journals and batches end in any order; sums of floats should not depend on it.
  const ordered = [...results].sort((a, b) => a.index - b.index)
  const pairs = ordered.map(({ index, scores }) => ({ item: items[index], scores }))
  switch (kind) {
    case 'choice':
      return choiceMetrics(pairs)
    case 'cloze':
      return clozeMetrics(pairs)
    case 'rolling':
      return rollingMetrics(pairs)
  }
}

type Pair = { readonly item: TaskItem; readonly scores: readonly SequenceScore[] }

function choiceMetrics(pairs: readonly Pair[]): TaskMetrics {
  const predictions = pairs.map(({ item, scores }) => predictionsOf(item, scores))
  const hits = (rule: keyof Predictions) =>
    meanAndError(pairs.map(({ item }, i) => (predictions[i][rule] === item.gold ? 1 : 0)))
  const [plain, norm, bytes] = [hits('acc'), hits('acc_norm'), hits('acc_bytes')]
  const golds = new Map<number, number>()
  for (const { item } of pairs) golds.set(item.gold, (golds.get(item.gold) ?? 0) + 1)
  return {
    n: pairs.length,
    acc: plain.mean,
    stderr: plain.error,
    acc_norm: norm.mean,
    acc_norm_stderr: norm.error,
    acc_bytes: bytes.mean,
    acc_bytes_stderr: bytes.error,
    chance: meanAndError(pairs.map(({ item }) => 1 / item.choices.length)).mean,
    majority: Math.max(...golds.values()) / pairs.length,
  }
}

function clozeMetrics(pairs: readonly Pair[]): TaskMetrics {
  const hits = meanAndError(pairs.map(({ scores }) => (scores[0].isGreedy ? 1 : 0)))
  const { mean, error } = meanAndError(pairs.map(({ scores }) => scores[0].logLikelihood))
  const perplexity = Math.exp(-mean)
  return {
    n: pairs.length,
    acc: hits.mean,
    stderr: hits.error,
    ...finiteOnly(
      { perplexity, perplexity_stderr: perplexity * error },
      'the words are so unlikely to the model',
    ),
  }
}

function rollingMetrics(pairs: readonly Pair[]): TaskMetrics {
  let [logLikelihood, words, bytes] = [0, 0, 0]
  for (const { item, scores } of pairs) {
    const text = item.original ?? item.choices[0]
    for (const score of scores) logLikelihood += score.logLikelihood
    words += splitAtSpace(text).length
    bytes += utf8Length(text)
  }
  return {
    n: pairs.length,
    ...textPerplexity(logLikelihood, words, bytes),
  }
}

/** Of a text of so many words and bytes, whatever tokens it became. */
export function textPerplexity(logLikelihood: number, words: number, bytes: number) {
  return {
    ...finiteOnly(
      { word_perplexity: Math.exp(-logLikelihood / words) },
      `the words that spaces make of the text are too few: ${words}`,
    ),
    byte_perplexity: Math.exp(-logLikelihood / bytes),
    bits_per_byte: -logLikelihood / bytes / Math.LN2,
  }
}

/** JSON would make nothing of Infinity. A page of Japanese, which has no spaces, is one word. */
function finiteOnly<T extends Readonly<Record<string, number>>>(values: T, why: string) {
  const infinite = Object.keys(values).filter((name) => !Number.isFinite(values[name]))
  if (infinite.length === 0) return values
  const reasons = infinite.map((name) => [name, `beyond the largest float64, as ${why}`])
  const left_out: LeftOut = Object.fromEntries(reasons)
  return { left_out } as Partial<T> & { readonly left_out: LeftOut }
}

function firstLargest(values: readonly number[]): number {
  return values.reduce((best, value, i) => (value > values[best] ? i : best), 0)
}

/** The mean and its standard error; 0 for a single value. */
function meanAndError(values: readonly number[]): { mean: number; error: number } {
  const n = values.length
  const mean = values.reduce((sum, value) => sum + value, 0) / n
  if (n < 2) return { mean, error: 0 }
  const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0)
  return { mean, error: Math.sqrt(squares / (n - 1) / n) }
}

/** Bytes of a text in UTF-8. */
export function utf8Length(text: string): number {
  return new TextEncoder().encode(text).length
}
