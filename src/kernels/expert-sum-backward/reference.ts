/**
 * Gradients of a mixture's sum: of each expert's result, that of its row times its weight, and of the weight, the
 * inner product of the result with the row's gradient. Products are added up in sixteen lanes and then by a tree.
 */
import { LANES, sumLanes } from '../float32.ts'

const f = Math.fround

interface Memory {
  /** (rows * top, cols), sorted by expert. */
  readonly x: Float32Array
  /** (rows, top) each. */
  readonly weights: Float32Array
  readonly places: Int32Array
  /** (rows, cols) */
  readonly dOut: Float32Array
  /** As x. */
  readonly dx: Float32Array
  /** As weights. */
  readonly dWeights: Float32Array
}

export function expertSumBackward(
  { x, weights, places, dOut, dx, dWeights }: Memory,
  { rows, cols, top }: { rows: number; cols: number; top: number },
): void {
  const lanes = new Float32Array(LANES)
  for (let at = 0; at < rows * top; at++) {
    const [to, from] = [places[at] * cols, Math.floor(at / top) * cols]
    lanes.fill(0)
    for (let col = 0; col < cols; col++) {
      const d = dOut[from + col]
      lanes[col % LANES] += f(x[to + col] * d)
      dx[to + col] = weights[at] * d
    }
    dWeights[at] = sumLanes(lanes)
  }
}
