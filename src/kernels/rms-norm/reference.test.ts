/** RMSNorm against float64. */
import { describe, expect, test } from 'vitest'
import { Seeded } from '../testing/conformance-cases.ts'
import { rmsNorm } from './reference.ts'

describe('rmsNorm', () => {
  test.each([1, 15, 16, 17, 2560])('agrees with float64 on rows of %i', (cols) => {
    const seeded = new Seeded(cols)
    const x = seeded.floats(2 * cols, 3)
    const weight = seeded.floats(cols)
    const out = new Float32Array(2 * cols)
    rmsNorm(out, x, weight, 2, cols, 1e-5)
    for (let i = 0; i < out.length; i++) {
      const row = x.subarray(i < cols ? 0 : cols, i < cols ? cols : 2 * cols)
      const mean = row.reduce((sum, v) => sum + v * v, 0) / cols
      const exact = (x[i] / Math.sqrt(mean + 1e-5)) * weight[i % cols]
      // The sum in lanes is at most cols / 16 + 6 roundings deep and halved by the root; five more.
      const tolerance = (cols / 32 + 8) * 2 ** -24 * Math.abs(exact)
      expect(Math.abs(out[i] - exact)).toBeLessThanOrEqual(tolerance + 1e-40)
    }
  })

  test('adds to what is there if asked to', () => {
    const x = Float32Array.of(3, 4)
    const alone = new Float32Array(2)
    rmsNorm(alone, x, Float32Array.of(1, 2), 1, 2, 1e-6)
    const added = Float32Array.of(10, 20)
    rmsNorm(added, x, Float32Array.of(1, 2), 1, 2, 1e-6, true)
    expect([...added]).toEqual([Math.fround(10 + alone[0]), Math.fround(20 + alone[1])])
  })

  test('gives zeros for zeros, because eps keeps the root away from zero', () => {
    const out = new Float32Array(4).fill(7)
    rmsNorm(out, new Float32Array(4), Float32Array.of(1, 2, 3, 4), 1, 4, 1e-5)
    expect(out).toEqual(new Float32Array(4))
  })
})
