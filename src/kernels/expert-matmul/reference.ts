/**
 * The products of a mixture's experts: out row i = W_e q_i * scales, with e the expert of row i. W is all experts'
 * matrices, one below the other. Rows are sorted by expert, so that each matrix is read once for all of its rows,
 * and those that no row goes to are not read.
 */
import { padToTile } from '../../ternary/index.ts'
import type { QuantizedRows } from '../quantize/reference.ts'
import { type TernaryWeights, ternaryMatmul } from '../ternary-matmul/reference.ts'

/**
 * @param out (rows, weights.rows / experts)
 * @param x of `rows` rows with weights.cols columns
 * @param chosen (rows): the expert of each, ascending
 */
export function expertMatmul(
  out: Float32Array,
  x: QuantizedRows,
  weights: TernaryWeights,
  chosen: Int32Array,
  { rows, experts }: { rows: number; experts: number },
): void {
  const count = weights.rows / experts
  const stride = padToTile(weights.cols)
  const wide = new Float32Array(weights.rows)
  for (let row = 0; row < rows; row++) {
    const own = {
      q: x.q.subarray(row * stride, (row + 1) * stride),
      scales: x.scales.subarray(row, row + 1),
      sums: x.sums.subarray(row, row + 1),
    }
    const first = chosen[row] * count
    ternaryMatmul(wide, own, weights, 1, false, { first, count })
    out.set(wide.subarray(first, first + count), row * count)
  }
}
