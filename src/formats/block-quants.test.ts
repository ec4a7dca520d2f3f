/** Q1_0 and Q2_0 by hand-made blocks. */
import { expect, test } from 'vitest'
import { decodeDense } from './dense-codecs.ts'

/** 0.5 as a half. */
const HALF = [0x00, 0x38]

test('Q1_0 has a sign a bit, the lowest first', () => {
  const out = new Float32Array(128)
  decodeDense('Q1_0', Uint8Array.from([...HALF, 0b00000101, ...new Array(15).fill(0)]), out)
  expect([...out.subarray(0, 4)]).toEqual([0.5, -0.5, 0.5, -0.5])
  expect(out.subarray(4).every((v) => v === -0.5)).toBe(true)
})

test.each([
  ['Q2_0', 64],
  ['Q2_0_128', 128],
] as const)('%s has four codes a byte, the lowest first, and a scale for %i', (type, group) => {
  const block = (byte: number) => [...HALF, byte, ...new Array(group / 4 - 1).fill(0b01010101)]
  const out = new Float32Array(2 * group)
  decodeDense(type, Uint8Array.from([...block(0b11100100), ...block(0b10)]), out)
  expect([...out.subarray(0, 5)]).toEqual([-0.5, 0, 0.5, 1, 0])
  expect([...out.subarray(group, group + 2)]).toEqual([0.5, -0.5])
})
