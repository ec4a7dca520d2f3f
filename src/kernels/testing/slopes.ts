/** Gradients by finite differences, which those of training are held against. */
import { expect } from 'vitest'

/** A step that float32 is fine enough for: its error is h^2 beside roundings of 2^-24 / h. */
const H = 2 ** -7

/** The slope of `loss` along each element of `x`, by central differences. `x` is left as it was. */
function slopesOf(x: Float32Array, loss: () => number): number[] {
  return Array.from(x, (value, i) => {
    x[i] = value + H
    const above = loss()
    x[i] = value - H
    const below = loss()
    x[i] = value
    return (above - below) / (2 * H)
  })
}

/** Expects `gradient` to be that of `loss` along x, within a share of its largest element. */
export function expectSlopes(
  gradient: ArrayLike<number>,
  x: Float32Array,
  loss: () => number,
  tolerance = 1e-3,
): void {
  const slopes = slopesOf(x, loss)
  const largest = Math.max(...slopes.map(Math.abs))
  expect(largest).toBeGreaterThan(0)
  for (const [i, slope] of slopes.entries()) {
    expect(Math.abs(gradient[i] - slope), `element ${i}`).toBeLessThan(tolerance * largest)
  }
}

/** The product of two arrays as vectors, in float64. */
export function inner(a: Float32Array, b: Float32Array): number {
  return a.reduce((sum, value, i) => sum + value * b[i], 0)
}
