/** All activations against float64 and against values known by heart. */
import { expect, test } from 'vitest'
import { gatedActivation } from './reference.ts'

test('relu2 squares what is positive, drops what is not, and multiplies by up', () => {
  const out = new Float32Array(4)
  gatedActivation(out, Float32Array.of(3, -3, 0, 0.5, 2, 2, 2, -1), 'relu2', 1, 4)
  expect([...out]).toEqual([18, 0, 0, -0.25])
})

test('silu is gate / (1 + e^-gate) within five roundings', () => {
  const gates = Float32Array.from({ length: 401 }, (_, i) => (i - 200) / 4)
  const out = new Float32Array(401)
  gatedActivation(out, Float32Array.of(...gates, ...gates.map(() => 1)), 'silu', 1, 401)
  for (const [i, gate] of gates.entries()) {
    const exact = gate / (1 + Math.exp(-gate))
    expect(Math.abs(out[i] - exact)).toBeLessThanOrEqual(Math.abs(exact) * 5 * 2 ** -23)
  }
})

test('gelu is gate (1 + tanh(sqrt(2 / pi) (gate + 0.044715 gate^3))) / 2', () => {
  const gates = Float32Array.from({ length: 401 }, (_, i) => (i - 200) / 40)
  const out = new Float32Array(401)
  gatedActivation(out, Float32Array.of(...gates, ...gates.map(() => 1)), 'gelu', 1, 401)
  for (const [i, gate] of gates.entries()) {
    const z = Math.sqrt(2 / Math.PI) * (gate + 0.044715 * gate ** 3)
    const exact = (gate * (1 + Math.tanh(z))) / 2
    // A rounding of 2 z moves e^-2z, and with it what is left of a negative gate, by as much.
    const tolerance = (6 + 4 * Math.abs(z)) * 2 ** -23 * Math.abs(exact) + 1e-12
    expect(Math.abs(out[i] - exact)).toBeLessThanOrEqual(tolerance)
  }
})

test('rows take their own gate and up', () => {
  const out = new Float32Array(2)
  gatedActivation(out, Float32Array.of(1, 10, 2, 100), 'relu2', 2, 1)
  expect([...out]).toEqual([10, 400])
})
