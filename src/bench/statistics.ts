/**
 * What a handful of measured values is summed up to.
 */

export interface Summary {
  readonly mean: number
  /** Of the sample; 0 for one value. */
  readonly standardDeviation: number
  readonly min: number
  readonly max: number
}

/** @param values at least one */
export function summarize(values: readonly number[]): Summary {
  const mean = values.reduce((sum, v) => sum + v, 0) / values.length
  const squares = values.reduce((sum, v) => sum + (v - mean) ** 2, 0)
  return {
    mean,
    standardDeviation: values.length > 1 ? Math.sqrt(squares / (values.length - 1)) : 0,
    min: Math.min(...values),
    max: Math.max(...values),
  }
}

export interface Ratio {
  readonly ratio: number
  /** First-order propagation of both standard deviations, taken as independent. */
  readonly standardDeviation: number
}

/** b / a of two means. */
export function ratioOf(a: Summary, b: Summary): Ratio {
  const ratio = b.mean / a.mean
  const relative = Math.hypot(a.standardDeviation / a.mean, b.standardDeviation / b.mean)
  return { ratio, standardDeviation: ratio * relative }
}
