/**
 * The writer refuses content whose parts do not agree, since a reader would find it damaged.
 */
import { describe, expect, test } from 'vitest'
import { ShapeError } from '../../errors.ts'
import { memorySink } from '../byte-sink.ts'
import { memorySource } from '../memory-source.ts'
import { parseGguf } from './parse-gguf.ts'
import { type GgufTensorToWrite, writeGguf } from './write-gguf.ts'

const tensor = (change: Partial<GgufTensorToWrite>): GgufTensorToWrite => ({
  name: 't',
  type: 'F16',
  shape: [2, 3],
  byteLength: 12,
  data: () => [new Uint8Array(5), new Uint8Array(7)],
  ...change,
})

describe('writeGguf', () => {
  test('pads each tensor to 32 bytes and says how much it wrote', async () => {
    const sink = memorySink()
    const written = await writeGguf(sink, {
      metadata: [],
      tensors: [tensor({}), tensor({ name: 'u' }), tensor({ name: 'v' })],
    })
    expect(written).toBe(sink.bytes().length)
    expect(written % 32).toBe(0)
  })

  test.each([
    ['a length that is not the type’s', [tensor({ byteLength: 11 })]],
    ['too little data', [tensor({ data: () => [new Uint8Array(11)] })]],
    ['too much data', [tensor({ data: () => [new Uint8Array(13)] })]],
    ['a dimension of zero', [tensor({ shape: [0, 3], byteLength: 0, data: () => [] })]],
    ['rows that are no whole blocks', [tensor({ type: 'Q8_0', shape: [2, 16] })]],
    ['a name that comes twice', [tensor({}), tensor({})]],
  ])('refuses %s', async (_, tensors) => {
    const writing = writeGguf(memorySink(), { metadata: [], tensors })
    await expect(writing).rejects.toBeInstanceOf(ShapeError)
  })

  test('has room for any header, wherever its buffer of 64 KiB has to grow', async () => {
    for (let length = 65_460; length < 65_490; length++) {
      const long = { type: 'array', of: 'u8', value: new Uint8Array(length) } as const
      const sink = memorySink()
      const metadata = [['a', long] as const, ['k', { type: 'i64', value: -7 } as const] as const]
      await writeGguf(sink, { metadata, tensors: [] })
      const file = await parseGguf(memorySource(sink.bytes(), 'long.gguf'))
      expect(file.metadata.get('k')).toBe(-7)
    }
  })

  test('refuses a key that comes twice', async () => {
    const entry = ['k', { type: 'u32', value: 1 }] as const
    const writing = writeGguf(memorySink(), { metadata: [entry, entry], tensors: [] })
    await expect(writing).rejects.toThrow('"k" twice')
  })
})
