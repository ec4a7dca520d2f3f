/**
 * A matrix of halves once more as int8, as packDense has it, and how far that may be off; for operations that look
 * at all products nearly before they compute some of them exactly (head-draw).
 *
 * With q int8 of the scale s, of each row of weights w, over its columns in order:
 *
 *   lost = sum of (w - s q)^2         whole = sum of w^2
 *   bounds[1] = 1.01 sqrt(whole)      at least |w|
 *   bounds[0] = 1.01 sqrt(lost) + 2^-20 bounds[1]      at least |w - s q|
 *
 * A hundredth is more than rounding of up to 65,536 terms comes to, 2^-20 |w| more than that of s q and of the
 * difference. A row with an infinity or NaN has infinite bounds.
 */
import { TILE } from '../../ternary/index.ts'
import { int8At, type PackedDense, packDenseRows, unpackDenseRow } from '../dense-matmul/layout.ts'

const f = Math.fround

/** Floats of a stripe of 16 rows: the first bound of each, then the second. */
export const BOUND_FLOATS: number = 2 * TILE

/**
 * @param look int8, of the same shape as `weights`, which is f16
 * @param bounds BOUND_FLOATS for each stripe; those of rows past the end are 0
 */
export function lookWeights(look: PackedDense, bounds: Float32Array, weights: PackedDense): void {
  const { rows, cols } = weights
  bounds.fill(0, 0, Math.ceil(rows / TILE) * BOUND_FLOATS)
  const values = new Float32Array(cols)
  for (let row = 0; row < rows; row++) {
    unpackDenseRow(values, weights, row)
    packDenseRows(look, values, 1, row)
    const scale = look.scales?.[row] ?? 0
    let lost = 0
    let whole = 0
    for (let c = 0; c < cols; c++) {
      const e = f(values[c] - f(int8At(look, row, c) * scale))
      lost = f(lost + f(e * e))
      whole = f(whole + f(values[c] * values[c]))
    }
    const at = (row >> 4) * BOUND_FLOATS + (row & 15)
    const hasNumbers = scale < Infinity
    const length = f(f(Math.sqrt(whole)) * f(1.01))
    const loss = f(f(f(Math.sqrt(lost)) * f(1.01)) + f(length * 2 ** -20))
    bounds[at] = hasNumbers ? loss : Infinity
    bounds[at + TILE] = hasNumbers ? length : Infinity
  }
}
