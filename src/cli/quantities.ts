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

/** "1.25 s" from a second on, else "34.1 ms" */
export function formatMilliseconds(ms: number): string {
  return ms >= 1000 ? `${(ms / 1000).toFixed(2)} s` : `${ms.toFixed(1)} ms`
}

export function formatPercent(fraction: number): string {
  return `${(100 * fraction).toFixed(1)} %`
}

/** Mean, sample standard deviation (0 for one value), smallest and largest of at least one value. */
export function summarize(values: readonly number[]): {
  mean: number
  standardDeviation: number
  min: number
  max: number
} {
  const mean = values.reduce((sum, v) => sum + v, 0) / values.length
  const squares = values.reduce((sum, v) => sum + (v - mean) ** 2, 0)
  return {
    mean,
    standardDeviation: values.length > 1 ? Math.sqrt(squares / (values.length - 1)) : 0,
    min: Math.min(...values),
    max: Math.max(...values),
  }
}
