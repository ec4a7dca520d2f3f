/** out = x + share (out - x): values on their way from x to what lies in `out`. */
const f = Math.fround

/**
 * @param out, x (count)
 * @param share from 0, for x, to 1
 */
export function blend(out: Float32Array, x: Float32Array, share: number, count: number): void {
  for (let i = 0; i < count; i++) out[i] = x[i] + f(share * f(out[i] - x[i]))
}
