/**
 * Absmax int8 of each token (Ma et al. 2024, section 2), after an RMSNorm where a weight is given:
 *
 *   m = max(1e-5, max|y|),  q = clamp(round(y * (127 / m)), -128, 127),  scale = m / 127
 *
 * rounding half to even. The sum of q goes along because the ternary product needs it.
 */
import { padToTile, roundHalfEven, SCALE_FLOOR } from '../../ternary/index.ts'
import { inverseRms } from '../rms-norm/reference.ts'

const f = Math.fround

/** int8 activations of some tokens. */
export interface QuantizedRows {
  /** (rows, padToTile(cols)); the padding is zero. */
  readonly q: Int8Array
  /** (rows): y = q * scale. */
  readonly scales: Float32Array
  /** (rows): the sum of a row's q. */
  readonly sums: Int32Array
}

/**
 * @param out every element up to `rows` is written, padding too
 * @param x (rows, cols)
 * @param weight of the norm, (cols); undefined for none
 */
export function quantize(
  out: QuantizedRows,
  x: Float32Array,
  weight: Float32Array | undefined,
  rows: number,
  cols: number,
  eps: number,
): void {
  const stride = padToTile(cols)
  const y = new Float32Array(cols)
  for (let row = 0; row < rows; row++) {
    y.set(x.subarray(row * cols, (row + 1) * cols))
    if (weight !== undefined) {
      const inverse = inverseRms(y, cols, eps)
      for (let i = 0; i < cols; i++) y[i] = f(y[i] * inverse) * weight[i]
    }
    let max = f(SCALE_FLOOR)
    for (let i = 0; i < cols; i++) {
      const magnitude = Math.abs(y[i])
      if (magnitude > max) max = magnitude
    }
    const factor = f(127 / max)
    const first = row * stride
    let sum = 0
    for (let i = 0; i < cols; i++) {
      const q = Math.max(-128, Math.min(127, roundHalfEven(f(y[i] * factor))))
      out.q[first + i] = q
      sum += q
    }
    out.q.fill(0, first + cols, first + stride)
    out.scales[row] = max / 127
    out.sums[row] = sum
  }
}
