/**
 * RMSNorm (Zhang and Sennrich 2019): out = x / sqrt(mean(x^2) + eps) * weight, row by row.
 *
 * The squares are summed in sixteen lanes, element i in lane i & 15, and the lanes as a tree, so that
 * vector code of any width up to sixteen gives the same bits. The sums are float64, where squares of
 * float32 are exact: a last bit less in the sum would move the whole row by as much, and elements that
 * lie between two int8 roundings would fall the other way than in the float32 results of others.
 */
import { LANES, sumLanes } from '../float32.ts'

const f = Math.fround
const lanes = new Float64Array(LANES)

/** 1 / sqrt(mean(x^2) + eps) of one row, (cols). */
export function inverseRms(x: Float32Array, cols: number, eps: number): number {
  lanes.fill(0)
  for (let i = 0; i < cols; i++) lanes[i & 15] += x[i] * x[i]
  const mean = f(sumLanes(lanes) / cols)
  return f(1 / f(Math.sqrt(f(mean + f(eps)))))
}

/**
 * @param out (rows, cols); may be `x` itself
 * @param x (rows, cols)
 * @param weight (cols)
 * @param accumulate add to `out` instead of replacing it
 */
export function rmsNorm(
  out: Float32Array,
  x: Float32Array,
  weight: Float32Array,
  rows: number,
  cols: number,
  eps: number,
  accumulate = false,
): void {
  for (let row = 0; row < rows; row++) {
    const first = row * cols
    const inverse = inverseRms(x.subarray(first, first + cols), cols, eps)
    for (let i = 0; i < cols; i++) {
      const y = f(f(x[first + i] * inverse) * weight[i])
      out[first + i] = accumulate ? out[first + i] + y : y
    }
  }
}
