/** Adds rows to those of a table that an index names, in their order: one may come up often. */

/**
 * @param out (any, cols)
 * @param x (rows, cols)
 * @param index (rows)
 */
export function scatterAdd(
  out: Float32Array,
  x: Float32Array,
  index: Int32Array,
  rows: number,
  cols: number,
): void {
  for (let row = 0; row < rows; row++) {
    for (let i = 0; i < cols; i++) out[index[row] * cols + i] += x[row * cols + i]
  }
}
