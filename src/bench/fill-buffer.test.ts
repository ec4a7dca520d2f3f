/** Random operands: valid codes, normal floats, the same every time, to the last byte. */
import { expect, test } from 'vitest'
import { createReferenceBackend } from '../backends/reference/index.ts'
import { type Fill, fillBuffer, RANDOM } from './fill-buffer.ts'

async function filled(byteLength: number, fill: Fill): Promise<Uint8Array> {
  const backend = createReferenceBackend()
  const buffer = backend.allocate(byteLength, 'operands')
  fillBuffer(backend, buffer, fill)
  const bytes = await backend.read(buffer)
  backend.dispose()
  return bytes
}

/** How often each value occurs. */
function counts(values: Iterable<number>): Map<number, number> {
  const found = new Map<number, number>()
  for (const value of values) found.set(value, (found.get(value) ?? 0) + 1)
  return found
}

test('two-bit codes are -1, 0 and +1, half of them 0', async () => {
  const bytes = await filled(4096, RANDOM['2bit'])
  const found = counts([...bytes].flatMap((b) => [b & 3, (b >> 2) & 3, (b >> 4) & 3, b >> 6]))
  expect([...found.keys()].sort()).toEqual([0, 1, 2])
  expect((found.get(1) ?? 0) / (4 * bytes.length)).toBeCloseTo(0.5, 1)
})

test('five weights to the base 3 are 0 to 242, all of them', async () => {
  const found = counts(await filled(1 << 14, RANDOM.base3))
  expect(found.size).toBe(243)
  expect(Math.max(...found.keys())).toBe(242)
})

test('floats and halves are normal numbers near 1 / 100', async () => {
  const floats = new Float32Array((await filled(4096, RANDOM.floats)).buffer)
  for (const value of floats) {
    expect(Math.abs(value)).toBeGreaterThanOrEqual(2 ** -7)
    expect(Math.abs(value)).toBeLessThan(2 ** -6)
  }
  const halves = new Uint16Array((await filled(4096, RANDOM.halves)).buffer)
  for (const bits of halves) expect(bits >> 10).toBe(11)
})

test('a buffer longer than a piece is filled to its end, and the same again', async () => {
  const length = (1 << 20) + 4099
  const bytes = await filled(length, RANDOM.bytes)
  expect(counts(bytes.subarray(1 << 20)).size).toBe(256)
  expect(Buffer.compare(bytes, await filled(length, RANDOM.bytes))).toBe(0)
})

test('a byte is written everywhere', async () => {
  expect([...counts(await filled(1003, 7))]).toEqual([[7, 1003]])
})
