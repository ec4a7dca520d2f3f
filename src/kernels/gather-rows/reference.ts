/**
 * out (rows, cols) = the rows of x named by `index`, bit for bit. Used to keep only the rows whose
 * logits are wanted.
 */
export function gatherRows(
  out: Float32Array,
  x: Float32Array,
  index: Int32Array,
  rows: number,
  cols: number,
): void {
  for (let row = 0; row < rows; row++) {
    const from = index[row] * cols
    out.set(x.subarray(from, from + cols), row * cols)
  }
}
