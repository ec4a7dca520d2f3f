/** Quantisation of buffers against the quantiser of single tokens. */
import { describe, expect, test } from 'vitest'
import { absmaxQuantize, padToTile } from '../../ternary/index.ts'
import { rmsNorm } from '../rms-norm/reference.ts'
import { Seeded } from '../testing/conformance-cases.ts'
import { type QuantizedRows, quantize } from './reference.ts'

function room(rows: number, cols: number): QuantizedRows {
  return {
    q: new Int8Array(rows * padToTile(cols)).fill(99),
    scales: new Float32Array(rows),
    sums: new Int32Array(rows),
  }
}

describe.each([1, 16, 17, 100])('three tokens of %i', (cols) => {
  const seeded = new Seeded(cols)
  const x = seeded.floats(3 * cols, 5)
  const weight = seeded.floats(cols, 2)

  test('each become what the token alone becomes, with zero padding and the sum', () => {
    const out = room(3, cols)
    quantize(out, x, undefined, 3, cols, 1e-5)
    for (let row = 0; row < 3; row++) {
      const alone = absmaxQuantize(x.subarray(row * cols, (row + 1) * cols))
      const stride = padToTile(cols)
      const expected = new Int8Array(stride)
      expected.set(alone.q)
      expect(out.q.subarray(row * stride, (row + 1) * stride)).toEqual(expected)
      expect(out.scales[row]).toBe(alone.scale)
      expect(out.sums[row]).toBe(alone.q.reduce((sum, q) => sum + q, 0))
    }
  })

  test('are normed first where a weight is given', () => {
    const normed = new Float32Array(3 * cols)
    rmsNorm(normed, x, weight, 3, cols, 1e-5)
    const expected = room(3, cols)
    quantize(expected, normed, undefined, 3, cols, 1e-5)
    const out = room(3, cols)
    quantize(out, x, weight, 3, cols, 1e-5)
    expect(out).toEqual(expected)
  })
})
