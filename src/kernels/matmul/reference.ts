/**
 * The product of row-major float32 matrices, either of them transposed: out = A B.
 *
 * Each element is summed up in blocks of MATMUL_BLOCK, in order within a block, and blocks are added to the
 * element in order: short sums, so that long ones (over all tokens of a batch, for the gradient of a weight)
 * lose little. The order depends on nothing but `inner`; processors with a fused multiply-add use it.
 */
const f = Math.fround

/** Products that are summed up before they are added to the result. */
export const MATMUL_BLOCK = 256

/** Shape and form of a product. */
export interface MatmulShape {
  readonly rows: number
  readonly cols: number
  readonly inner: number
  readonly transposeA?: boolean | undefined
  readonly transposeB?: boolean | undefined
  readonly accumulate?: boolean | undefined
  readonly halves?: boolean | undefined
}

/**
 * @param out (rows, cols)
 * @param a (rows, inner), or (inner, rows) if transposed
 * @param b (inner, cols), or (cols, inner) if transposed
 */
export function matmul(
  out: Float32Array,
  a: Float32Array,
  b: Float32Array,
  { rows, cols, inner, transposeA, transposeB, accumulate }: MatmulShape,
): void {
  const [aRow, aStep] = transposeA ? [1, rows] : [inner, 1]
  const [bCol, bStep] = transposeB ? [inner, 1] : [1, cols]
  for (let row = 0; row < rows; row++) {
    for (let col = 0; col < cols; col++) {
      let total = accumulate ? out[row * cols + col] : 0
      for (let from = 0; from < inner; from += MATMUL_BLOCK) {
        const to = Math.min(inner, from + MATMUL_BLOCK)
        let sum = 0
        for (let k = from; k < to; k++) {
          sum = f(sum + f(a[row * aRow + k * aStep] * b[col * bCol + k * bStep]))
        }
        total = f(total + sum)
      }
      out[row * cols + col] = total
    }
  }
}
