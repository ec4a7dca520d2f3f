/**
 * Numbers with their units, for people. Units are decimal (1 MB = 10^6 bytes), as in the papers'
 * tables and in what disks and memory buses are sold by.
 */

const STEPS = [
  { size: 1e12, letter: 'T' },
  { size: 1e9, letter: 'G' },
  { size: 1e6, letter: 'M' },
  { size: 1e3, letter: 'k' },
] as const

/** "117.6 MB" */
export function formatBytes(bytes: number): string {
  const step = STEPS.find(({ size }) => bytes >= size)
  return step === undefined ? `${bytes} B` : `${(bytes / step.size).toFixed(1)} ${step.letter}B`
}

/** "58.8 M", or "1,024" below a million. */
export function formatCount(count: number): string {
  const step = STEPS.find(({ size }) => size >= 1e6 && count >= size)
  if (step === undefined) return count.toLocaleString('en-US')
  return `${(count / step.size).toFixed(1)} ${step.letter}`
}

/** "1 token", "1,024 tokens" */
export function counted(count: number, what: string, plural = `${what}s`): string {
  return `${count.toLocaleString('en-US')} ${count === 1 ? what : plural}`
}

/** "1.25 s" from a second on, else "34.1 ms" */
export function formatMilliseconds(ms: number): string {
  return ms >= 1000 ? `${(ms / 1000).toFixed(2)} s` : `${ms.toFixed(1)} ms`
}

export function formatPercent(fraction: number): string {
  return `${(100 * fraction).toFixed(1)} %`
}

/** A percentage of what memory gives; marked where a cache gave more. See cacheNote. */
export function formatShare(fraction: number): string {
  return `${formatPercent(fraction)}${fraction > 1 ? ' *' : ''}`
}

/** "41 % of 117.6 MB" */
export function formatProgress(doneBytes: number, totalBytes: number): string {
  const percent = totalBytes > 0 ? Math.floor((100 * doneBytes) / totalBytes) : 100
  return `${percent} % of ${formatBytes(totalBytes)}`
}

/** "31.2 GB/s" */
export function formatByteRate(bytesPerSecond: number): string {
  return `${formatBytes(bytesPerSecond)}/s`
}

/** "463.5 GMAC/s": billions of multiply-accumulates. */
export function formatMacRate(macsPerSecond: number): string {
  return `${(macsPerSecond / 1e9).toFixed(1)} GMAC/s`
}

/** "53.2 ± 0.4", with a third digit below 10; of one value without a spread. */
export function formatSpread({
  mean,
  standardDeviation,
}: {
  readonly mean: number
  readonly standardDeviation: number
}): string {
  const digits = mean < 10 ? 2 : 1
  if (standardDeviation === 0) return mean.toFixed(digits)
  return `${mean.toFixed(digits)} ± ${standardDeviation.toFixed(digits)}`
}

/** "4.1 mJ" */
export function formatJoules(joules: number): string {
  if (joules >= 1) return `${joules.toFixed(2)} J`
  return joules >= 1e-3 ? `${(joules * 1e3).toFixed(1)} mJ` : `${(joules * 1e6).toFixed(1)} µJ`
}
