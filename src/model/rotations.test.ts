/** The table of rotary position embedding. */
import { describe, expect, test } from 'vitest'
import { createReferenceBackend } from '../backends/reference/index.ts'
import { BufferOwner } from './buffer-owner.ts'
import { Rotations, rotationTable } from './rotations.ts'

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

describe('tables on a backend', () => {
  test('are shared by caches that fit, and grow at least twofold', () => {
    const owner = new BufferOwner(createReferenceBackend())
    const rotations = new Rotations(owner, 4, 10000)
    const first = rotations.forPositions(16)
    expect(first.byteLength).toBe(16 * 4 * 4)
    expect(rotations.forPositions(10)).toBe(first)
    const second = rotations.forPositions(17)
    expect(second.byteLength).toBe(32 * 4 * 4)
    expect(rotations.forPositions(32)).toBe(second)
  })
})
