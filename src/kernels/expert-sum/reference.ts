/**
 * What a mixture gives each row: the sum of its experts' results, each times its weight, from the likeliest on and
 * rounded at each step, added to what is there.
 */
const f = Math.fround

interface Memory {
  /** (rows, cols) */
  readonly out: Float32Array
  /** (rows * top, cols), sorted by expert. */
  readonly x: Float32Array
  /** (rows, top) each: see `route`. */
  readonly weights: Float32Array
  readonly places: Int32Array
}

export function expertSum(
  { out, x, weights, places }: Memory,
  { rows, cols, top }: { rows: number; cols: number; top: number },
): void {
  for (let row = 0; row < rows; row++) {
    for (let col = 0; col < cols; col++) {
      let sum = 0
      for (let at = row * top; at < (row + 1) * top; at++) {
        sum = f(sum + f(weights[at] * x[places[at] * cols + col]))
      }
      out[row * cols + col] += sum
    }
  }
}
