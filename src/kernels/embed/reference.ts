/**
 * out (rows, cols) = rows of a dense table named by the tokens, decoded to float32: exact for f32 and
 * f16, w * scale for int8. Then times a factor, where one is given (Gemma's sqrt(dim)).
 */
import { type PackedDense, unpackDenseRow } from '../dense-matmul/layout.ts'
import { STEP, STEP_WORDS } from '../step.ts'

/**
 * @param step (rows, 4): the token's id comes first
 * @param table (vocabulary, cols)
 * @param factor rounded to float32; 1 changes nothing
 */
export function embed(
  out: Float32Array,
  step: Int32Array,
  table: PackedDense,
  rows: number,
  factor = 1,
): void {
  const times = Math.fround(factor)
  for (let row = 0; row < rows; row++) {
    const target = out.subarray(row * table.cols, (row + 1) * table.cols)
    unpackDenseRow(target, table, step[row * STEP_WORDS + STEP.token])
    if (times !== 1) for (let i = 0; i < target.length; i++) target[i] *= times
  }
}
