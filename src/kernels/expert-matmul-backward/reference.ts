/**
 * Gradients of the products of a mixture's experts, of float32 values: out row i = W_e x_i, with e the expert of row i.
 *
 *   dx_i = W_e^T dOut_i        dW_e += sum over its rows of dOut_i x_i^T
 *
 * Sums go in order, in blocks as those of `matmul`: dx over the rows of W_e, dW_e over the expert's rows.
 */
import { matmul } from '../matmul/reference.ts'

interface Memory {
  /** (rows, cols), sorted by expert. */
  readonly x: Float32Array
  /** (experts * count, cols) */
  readonly weights: Float32Array
  readonly chosen: Int32Array
  /** (rows, count) */
  readonly dOut: Float32Array
  readonly dx: Float32Array
  readonly dWeights: Float32Array
}

export interface ExpertShape {
  readonly rows: number
  readonly cols: number
  /** Rows of an expert's matrix. */
  readonly count: number
}

export function expertMatmulBackward(m: Memory, { rows, cols, count }: ExpertShape): void {
  for (let row = 0, end = row; row < rows; row = end) {
    const expert = m.chosen[row]
    for (end = row + 1; end < rows && m.chosen[end] === expert; ) end++
    const [first, last] = [expert * count * cols, (expert + 1) * count * cols]
    const run = end - row
    const dOut = m.dOut.subarray(row * count, end * count)
    const weights = m.weights.subarray(first, last)
    const dx = m.dx.subarray(row * cols, end * cols)
    matmul(dx, dOut, weights, { rows: run, cols, inner: count })
    const x = m.x.subarray(row * cols, end * cols)
    const sums = { rows: count, cols, inner: run, transposeA: true, accumulate: true }
    matmul(m.dWeights.subarray(first, last), dOut, x, sums)
  }
}
