/**
 * The gradients of out = x r w, r = 1 / sqrt(mean(x^2) + eps), row by row. With g = dOut w:
 *
 *   dx = r (g - x r^2 mean(g x)),   dw = the sum over rows of dOut x r
 *
 * Sums are float64: that over a row in sixteen lanes and a tree as in the norm itself, that over rows in
 * their order.
 */
import { LANES, sumLanes } from '../float32.ts'
import { inverseRms } from '../rms-norm/reference.ts'

const f = Math.fround
const lanes = new Float64Array(LANES)

/** (rows, cols), those of weights (cols). */
export interface NormGradients {
  readonly x: Float32Array
  readonly weight: Float32Array
  readonly dOut: Float32Array
  readonly dx: Float32Array
  readonly dWeight: Float32Array
}

export function rmsNormBackward(
  { x, weight, dOut, dx, dWeight }: NormGradients,
  shape: { rows: number; cols: number; eps: number; accumulate?: boolean | undefined },
): void {
  const { rows, cols, eps, accumulate } = shape
  const dWeights = new Float64Array(cols)
  for (let row = 0; row < rows; row++) {
    const first = row * cols
    const inverse = inverseRms(x.subarray(first, first + cols), cols, eps)
    lanes.fill(0)
    for (let i = 0; i < cols; i++) lanes[i & 15] += f(dOut[first + i] * weight[i]) * x[first + i]
    const along = f(f(inverse * inverse) * f(sumLanes(lanes) / cols))
    for (let i = 0; i < cols; i++) {
      const g = f(dOut[first + i] * weight[i])
      const d = f(f(g - f(x[first + i] * along)) * inverse)
      dWeights[i] += f(dOut[first + i] * f(x[first + i] * inverse))
      dx[first + i] = accumulate ? dx[first + i] + d : d
    }
  }
  for (let i = 0; i < cols; i++) dWeight[i] += f(dWeights[i])
}
