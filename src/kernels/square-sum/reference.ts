/**
 * The sum of squares, in float64: of each row in sixteen lanes and a tree, then of the rows in order. It is
 * rounded to float32 once.
 */
import { LANES, sumLanes } from '../float32.ts'

/** @param x (rows, cols) */
export function squareSum(out: Float32Array, x: Float32Array, rows: number, cols: number): void {
  const lanes = new Float64Array(LANES)
  let total = 0
  for (let row = 0; row < rows; row++) {
    lanes.fill(0)
    for (let i = 0; i < cols; i++) lanes[i & 15] += x[row * cols + i] * x[row * cols + i]
    total += sumLanes(lanes)
  }
  out[0] = total
}
