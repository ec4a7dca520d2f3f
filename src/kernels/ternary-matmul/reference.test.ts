/** The table look-ups against a plain loop over unpacked weights. */
import { describe, expect, test } from 'vitest'
import { unpackTernary } from '../../ternary/index.ts'
import { quantizedRows, Seeded } from '../testing/conformance-cases.ts'
import { ternaryMatmul } from './reference.ts'

const f = Math.fround

/** y = (sum of w * q) * (token scale * row scale), integers in float64. */
function plainProduct(
  weights: ReturnType<Seeded['ternary']>,
  q: Int8Array,
  tokenScales: Float32Array,
): Float32Array {
  const { rows, cols } = weights
  const codes = unpackTernary(weights)
  const out = new Float32Array(tokenScales.length * rows)
  for (let i = 0; i < out.length; i++) {
    const token = Math.floor(i / rows)
    const row = i % rows
    let dot = 0
    for (let c = 0; c < cols; c++) dot += codes[row * cols + c] * q[token * cols + c]
    out[i] = f(dot) * f(tokenScales[token] * weights.scales[row])
  }
  return out
}

describe.each([
  [1, 1, 1],
  [1, 17, 2],
  [15, 16, 3],
  [16, 15, 1],
  [33, 47, 17],
  [50, 1000, 2],
])('%i x %i for %i tokens', (rows, cols, tokens) => {
  const seeded = new Seeded(rows + cols)
  const weights = seeded.ternary(rows, cols)
  const q = seeded.int8(tokens * cols)
  const scales = seeded.positive(tokens)
  const x = quantizedRows(q, scales, tokens, cols)
  const expected = plainProduct(weights, q, scales)

  test('is the plain product', () => {
    const out = new Float32Array(tokens * rows).fill(9)
    ternaryMatmul(out, x, weights, tokens, false)
    expect(out).toEqual(expected)
  })

  test('is added to what is there if asked', () => {
    const before = seeded.floats(tokens * rows)
    const out = before.slice()
    ternaryMatmul(out, x, weights, tokens, true)
    expect(out).toEqual(before.map((value, i) => value + expected[i]))
  })
})

test.each([
  [-1, -128],
  [-1, 127],
  [1, -128],
  [1, 127],
])('is exact with all weights %i and all activations %i', (code, q) => {
  const cols = 6912
  const weights = new Seeded(1).ternary(1, cols, new Int8Array(cols).fill(code))
  weights.scales.fill(1)
  const x = quantizedRows(new Int8Array(cols).fill(q), Float32Array.of(1), 1, cols)
  const out = new Float32Array(1)
  ternaryMatmul(out, x, weights, 1, false)
  expect(out[0]).toBe(code * q * cols)
})
