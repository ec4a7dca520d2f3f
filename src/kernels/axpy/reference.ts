/**
 * out = scale * x, or out + scale * x (SAXPY of the BLAS): copies, sums and mixtures of activations. As there,
 * x is not looked at where the scale is 0, so that memory can be cleared of anything.
 */
const f = Math.fround

/** @param out, x (rows, cols); may be the same */
export function axpy(
  out: Float32Array,
  x: Float32Array,
  c: { rows: number; cols: number; scale: number; accumulate?: boolean | undefined },
): void {
  const scale = f(c.scale)
  for (let i = 0; i < c.rows * c.cols; i++) {
    const scaled = scale === 0 ? 0 : f(x[i] * scale)
    out[i] = c.accumulate ? out[i] + scaled : scaled
  }
}
