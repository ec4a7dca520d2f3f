/**
 * A comparison in one sentence: how much faster, and how much less memory.
 */
import type { Bilingual } from '../../../compare/chart.ts'
import type { ComparedGroup, ContenderResult } from '../../../compare/compare-contenders.ts'
import { allBytes } from '../../../compare/paper-figures.ts'

/** Ratios nearer to 1 than this are the same: runs differ by as much. */
const SAME = 0.05

/**
 * The last of the largest size that was run, beside the first: b1.58 where there is one, as its papers do.
 *
 * @returns undefined where there is nothing to compare with
 */
export function headlineOf(groups: readonly ComparedGroup[]): Bilingual | undefined {
  const pairs = groups.flatMap(({ title, results }) => {
    const [base] = results
    const other = results.find(({ name }) => name === 'b1.58') ?? results.at(-1)
    return other === undefined || other === base ? [] : [{ title, base, other }]
  })
  const pair = pairs.findLast(({ base, other }) => base.latency && other.latency) ?? pairs.at(-1)
  if (pair === undefined) return undefined
  const { title, base, other } = pair
  const [speed, memory] = [speedRatio(base, other), allBytes(base) / allBytes(other)]
  const size = title === 'models' ? undefined : title
  return {
    en: english(base, other, speed, memory, size),
    ja: japanese(base, other, speed, memory, size),
  }
}

/** Of a decoded token; undefined where one of the two was not run. */
function speedRatio(base: ContenderResult, other: ContenderResult): number | undefined {
  if (base.latency === undefined || other.latency === undefined) return undefined
  return base.latency.decodeMs.mean / other.latency.decodeMs.mean
}

type Sentence = (
  base: ContenderResult,
  other: ContenderResult,
  speed: number | undefined,
  memory: number,
  size: string | undefined,
) => string

const english: Sentence = (base, other, speed, memory, size) => {
  const faster =
    speed === undefined
      ? 'speed was not measured'
      : inWords(
          speed,
          'as fast',
          (times) => `${times} times faster`,
          (times) => `${times} times slower`,
        )
  const less = inWords(
    memory,
    'as much memory',
    (times) => `${times} times less memory`,
    (times) => `${times} times more memory`,
  )
  const where = size === undefined ? '' : `, at ${size}`
  return `${other.name} beside ${base.name}${where}: ${faster}, ${less}`
}

const japanese: Sentence = (base, other, speed, memory, size) => {
  const faster =
    speed === undefined
      ? '速さは未測定'
      : inWords(
          speed,
          '速さは同じ',
          (times) => `${times}倍速く`,
          (times) => `${times}倍遅く`,
        )
  const less = inWords(
    memory,
    'メモリは同じ',
    (times) => `メモリは${times}分の1`,
    (times) => `メモリは${times}倍`,
  )
  const where = size === undefined ? '' : `（サイズ${size}）`
  return `${other.name}は${base.name}に比べて${faster}、${less}${where}`
}

function inWords(
  ratio: number,
  same: string,
  more: (times: string) => string,
  less: (times: string) => string,
): string {
  if (Math.abs(ratio - 1) < SAME) return same
  return ratio > 1 ? more(ratio.toFixed(1)) : less((1 / ratio).toFixed(1))
}
