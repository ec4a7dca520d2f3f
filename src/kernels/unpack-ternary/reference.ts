/** The values of a ternary matrix, code * scale, as training's products with a gradient want them. */
import { weightAt } from '../../ternary/index.ts'
import type { TernaryWeights } from '../ternary-matmul/reference.ts'

/** @param out (rows, matrix.cols) */
export function unpackTernary(out: Float32Array, matrix: TernaryWeights, rows: number): void {
  const { cols, scales } = matrix
  for (let row = 0; row < rows; row++) {
    for (let col = 0; col < cols; col++) {
      out[row * cols + col] = weightAt(matrix, row, col) * scales[row]
    }
  }
}
