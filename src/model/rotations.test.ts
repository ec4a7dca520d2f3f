/** The table of rotary position embedding. */
import { describe, expect, test } from 'vitest'
import { createReferenceBackend } from '../backends/reference/index.ts'
import { BufferOwner } from './buffer-owner.ts'
import { pairFrequencies } from './config/rope-scaling.ts'
import { growingRotations, rotationTable } from './rotations.ts'

describe('the table', () => {
  test('does not turn the first position', () => {
    expect([...rotationTable(1, 4, 10000)]).toEqual([1, 1, 0, 0])
  })

  test('turns pair i at position p by p theta^(-2i / headDim)', () => {
    const table = rotationTable(8, 4, 10000)
    // Pair 0 turns by one radian a position, pair 1 by a hundredth.
    expect(table[7 * 4]).toBe(Math.fround(Math.cos(7)))
    expect(table[7 * 4 + 1]).toBe(Math.fround(Math.cos(0.07)))
    expect(table[7 * 4 + 2]).toBe(Math.fround(Math.sin(7)))
    expect(table[7 * 4 + 3]).toBe(Math.fround(Math.sin(0.07)))
  })
})

describe('scaling, by the published formulas', () => {
  // Radians a position, computed once in Python with the formulas as transformers has them.
  const YARN = {
    type: 'yarn',
    factor: 4,
    originalContext: 16384,
    attentionFactor: 0.1 * Math.log(4) + 1,
    betaFast: 32,
    betaSlow: 1,
    truncate: true,
  } as const
  const LLAMA3 = {
    type: 'llama3',
    factor: 32,
    originalContext: 8192,
    lowFrequencyFactor: 1,
    highFrequencyFactor: 4,
  } as const

  test.each([
    ['pairs before the ramp keep their frequency', 20, 0.01333521432163324],
    ['pairs on the ramp lie between', 27, 0.0020339437835564154],
    ['pairs on the ramp lie between', 30, 0.000860547176327363],
    ['pairs after it turn a quarter as fast', 37, 8.495520822356398e-5],
    ['pairs after it turn a quarter as fast', 63, 3.102344401879299e-7],
  ])('yarn x4 of 16384 positions: %s (pair %i)', (_, pair, radians) => {
    const { frequencies, magnitude } = pairFrequencies(128, 1e6, YARN)
    expect(frequencies[pair] / radians).toBeCloseTo(1, 12)
    expect(magnitude).toBeCloseTo(1.13862943611, 10)
  })

  test.each([
    [13, 0.004839421345719893],
    [14, 0.0032114459947525913],
    [16, 0.00042955679655936815],
    [31, 9.418306725434909e-8],
  ])('llama3 x32 of 8192 positions, pair %i', (pair, radians) => {
    const { frequencies, magnitude } = pairFrequencies(64, 500000, LLAMA3)
    expect(frequencies[pair] / radians).toBeCloseTo(1, 12)
    expect(magnitude).toBe(1)
  })

  test('linear scaling puts the position of another one in its place', () => {
    const scaled = rotationTable(9, 8, 10000, { type: 'linear', factor: 4 })
    expect(scaled.subarray(64, 72)).toEqual(rotationTable(3, 8, 10000).subarray(16, 24))
  })

  test('the table grows by the attention factor, the first position too', () => {
    const table = rotationTable(1, 128, 1e6, YARN)
    expect(table[0]).toBe(Math.fround(YARN.attentionFactor))
    expect(table[64]).toBe(0)
  })
})

describe('tables on a backend', () => {
  test('are shared by caches that fit, and grow at least twofold', () => {
    const owner = new BufferOwner(createReferenceBackend())
    const rotations = growingRotations(owner, 4, 10000)
    const first = rotations(16)
    expect(first.byteLength).toBe(16 * 4 * 4)
    expect(rotations(10)).toBe(first)
    const second = rotations(17)
    expect(second.byteLength).toBe(32 * 4 * 4)
    expect(rotations(32)).toBe(second)
  })
})
