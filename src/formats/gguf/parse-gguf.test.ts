/**
 * Reading GGUF: what the writer wrote comes back, and each kind of damage is named.
 */
import { describe, expect, test } from 'vitest'
import { memorySink } from '../byte-sink.ts'
import { memorySource } from '../memory-source.ts'
import type { ByteSource } from '../model-file.ts'
import { parseGguf } from './parse-gguf.ts'
import { type GgufContent, writeGguf } from './write-gguf.ts'

async function fileOf(content: GgufContent): Promise<Uint8Array> {
  const sink = memorySink()
  const written = await writeGguf(sink, content)
  const bytes = sink.bytes()
  expect(bytes.length).toBe(written)
  return bytes
}

const tensor = (name: string, bytes: number[]) => ({
  name,
  type: 'F32' as const,
  shape: [bytes.length / 4],
  byteLength: bytes.length,
  data: () => [Uint8Array.from(bytes)],
})

const I2S = {
  name: 'ternary',
  type: 'I2_S' as const,
  shape: [2, 128],
  byteLength: 96,
  data: () => [new Uint8Array(96)],
}

/** A header by hand: magic, version, counts, then the bytes given. */
function header(
  tensors: number | bigint,
  keys: number | bigint,
  rest: number[] = [],
  version = 3,
): Uint8Array {
  const bytes = new Uint8Array(24 + rest.length)
  const view = new DataView(bytes.buffer)
  view.setUint32(0, 0x46554747, true)
  view.setUint32(4, version, true)
  view.setBigUint64(8, BigInt(tensors), true)
  view.setBigUint64(16, BigInt(keys), true)
  bytes.set(rest, 24)
  return bytes
}

const u32 = (n: number) => [n & 255, (n >> 8) & 255, (n >> 16) & 255, (n >>> 24) & 255]
const u64 = (n: number) => [...u32(n >>> 0), ...u32(Math.floor(n / 2 ** 32))]
const text = (s: string) => [...u64(s.length), ...new TextEncoder().encode(s)]

function parse(bytes: Uint8Array) {
  return parseGguf(memorySource(bytes, 'test.gguf'))
}

describe('a written file', () => {
  test('comes back with its metadata in order and of the right kinds', async () => {
    const bytes = await fileOf({
      metadata: [
        ['a.string', { type: 'string', value: 'ビット' }],
        ['a.bool', { type: 'bool', value: true }],
        ['a.u8', { type: 'u8', value: 200 }],
        ['a.i16', { type: 'i16', value: -3 }],
        ['a.f32', { type: 'f32', value: 0.5 }],
        ['a.f64', { type: 'f64', value: 0.1 }],
        ['a.u64', { type: 'u64', value: 2n ** 60n + 1n }],
        ['a.i64', { type: 'i64', value: -5 }],
        ['list', { type: 'array', of: 'string', value: ['a', '', '\uFEFF', 'x'.repeat(99)] }],
        ['flags', { type: 'array', of: 'bool', value: [true, false] }],
        ['floats', { type: 'array', of: 'f32', value: [1, 2.5] }],
        ['ints', { type: 'array', of: 'i32', value: Int32Array.of(-1, 7) }],
        ['bytes', { type: 'array', of: 'u8', value: [255, 0] }],
      ],
      tensors: [],
    })
    const { metadata, version, tensors, valueTypes } = await parse(bytes)
    expect(valueTypes?.get('a.i16')).toBe('i16')
    expect(valueTypes?.get('floats')).toBe('f32[]')
    expect(version).toBe(3)
    expect(tensors.size).toBe(0)
    expect([...metadata]).toEqual([
      ['a.string', 'ビット'],
      ['a.bool', true],
      ['a.u8', 200],
      ['a.i16', -3],
      ['a.f32', 0.5],
      ['a.f64', 0.1],
      ['a.u64', 2n ** 60n + 1n],
      ['a.i64', -5],
      ['list', ['a', '', '\uFEFF', 'x'.repeat(99)]],
      ['flags', [true, false]],
      ['floats', Float32Array.of(1, 2.5)],
      ['ints', Int32Array.of(-1, 7)],
      ['bytes', Uint32Array.of(255, 0)],
    ])
  })

  test('comes back with its tensors, outermost dimension first, at aligned places', async () => {
    const data = [1, 2, 3, 4]
    const bytes = await fileOf({ metadata: [], tensors: [tensor('a', data), I2S] })
    const { tensors } = await parse(bytes)
    const [a, ternary] = [...tensors.values()]
    expect(a).toMatchObject({ name: 'a', type: 'F32', shape: [1], byteLength: 4 })
    expect(await a.source.read(a.offset, a.byteLength)).toEqual(Uint8Array.from(data))
    expect(ternary).toMatchObject({ type: 'I2_S', shape: [2, 128], byteLength: 96 })
    expect(ternary.offset % 32).toBe(0)
  })

  test('is refused wherever it is cut', async () => {
    const list = { type: 'array', of: 'string', value: ['one', 'two'] } as const
    const bytes = await fileOf({ metadata: [['list', list]], tensors: [tensor('a', [1, 2, 3, 4])] })
    for (let length = 0; length < bytes.length - 32; length++) {
      await expect(parse(bytes.slice(0, length))).rejects.toMatchObject({ code: 'FORMAT' })
    }
  })

  test('opens with a vocabulary of 131,072 pieces in proportion to one of 8,192', async () => {
    // Of the processor, which other programs do not make longer.
    const millisecondsOf = async (count: number) => {
      const value = Array.from({ length: count }, (_, i) => `piece ${i}`)
      const bytes = await fileOf({
        metadata: [['tokens', { type: 'array', of: 'string', value }]],
        tensors: [],
      })
      const start = process.cpuUsage()
      const { metadata } = await parse(bytes)
      const { user, system } = process.cpuUsage(start)
      expect(metadata.get('tokens')).toEqual(value)
      return (user + system) / 1000
    }
    await millisecondsOf(8192)
    const few = await millisecondsOf(8192)
    // Sixteen times as many; each looked for among all of them would be 256.
    expect(await millisecondsOf(1 << 17)).toBeLessThan(64 * few + 200)
  })
})

describe('a damaged header', () => {
  test.each([
    ['magic', Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8)],
    ['version', header(0, 0, [], 1)],
    ['version', header(0, 0, [], 4)],
    ['tensor count', header(2 ** 40, 0)],
    ['tensor count', header(1000, 0)],
    ['metadata count', header(0, 2n ** 63n)],
    ['metadata key 0', header(0, 1, [...u64(2 ** 33), ...u32(8), 0])],
    ['metadata key 0', header(0, 1, [...text(''), ...u32(7), 1])],
    ['metadata key 0', header(0, 1, [...text('k'.repeat(65_536)), ...u32(7), 1])],
    ['k', header(0, 1, [...text('k'), ...u32(13)])],
    ['k', header(0, 1, [...text('k'), ...u32(7), 2])],
    ['k', header(0, 1, [...text('k'), ...u32(8), ...u64(2 ** 40)])],
    ['k', header(0, 1, [...text('k'), ...u32(9), ...u32(6), ...u64(2 ** 20)])],
    ['k', header(0, 2, [...text('k'), ...u32(7), 1, ...text('k'), ...u32(7), 1])],
    ['general.alignment', header(0, 1, [...text('general.alignment'), ...u32(4), ...u32(24)])],
    ['general.alignment', header(0, 1, [...text('general.alignment'), ...u32(4), ...u32(4)])],
    ['general.alignment', header(0, 1, [...text('general.alignment'), ...u32(4), ...u32(1 << 17)])],
    ['general.alignment', header(0, 1, [...text('general.alignment'), ...u32(6), ...u32(0)])],
  ])('is refused naming %s', async (field, bytes) => {
    await expect(parse(bytes)).rejects.toMatchObject({ code: 'FORMAT', field, path: 'test.gguf' })
  })

  test('says that a big-endian file is one', async () => {
    const bytes = header(0, 0)
    bytes.set([0, 0, 0, 3], 4)
    await expect(parse(bytes)).rejects.toThrow('big-endian')
  })

  test('that goes on beyond 256 MiB is not read to its end', async () => {
    const key = (name: string, bytes: number) => [...text(name), ...u32(8), ...u64(bytes)]
    const long = 95 << 20
    // Three strings of zeros; nothing but their lengths has to be there.
    const [first, second, third] = [key('a', long), key('b', long), key('c', long)]
    const pieces = new Map([
      [0, header(0, 3, first)],
      [24 + first.length + long, Uint8Array.from(second)],
      [24 + 2 * first.length + 2 * long, Uint8Array.from(third)],
    ])
    let read = 0
    const source: ByteSource = {
      name: 'endless.gguf',
      size: 2 ** 40,
      async read(offset, length) {
        // A reader that asks for nothing would ask for ever.
        if (length === 0) throw new Error('read nothing')
        read += length
        const bytes = new Uint8Array(length)
        for (const [at, piece] of pieces) {
          if (at >= offset && at + piece.length <= offset + length) bytes.set(piece, at - offset)
        }
        return bytes
      },
      async close() {},
    }
    // Not the file itself: a report of what was not refused would show all of it.
    const refused = parseGguf(source).then(({ metadata }) => metadata.size)
    await expect(refused).rejects.toMatchObject({ code: 'FORMAT', field: 'c' })
    await expect(refused).rejects.toThrow(`a header of at most ${256 << 20} bytes`)
    expect(read).toBeLessThanOrEqual(256 << 20)
  })

  test('has arrays of 2^24 elements together and no more', async () => {
    const count = (1 << 23) + 1
    const list = (name: string) => [...text(name), ...u32(9), ...u32(0), ...u64(count)]
    const bytes = new Uint8Array(24 + 2 * (list('a').length + count))
    bytes.set(header(0, 2, list('a')))
    bytes.set(list('b'), 24 + list('a').length + count)
    const refused = parse(bytes).then(({ metadata }) => metadata.size)
    await expect(refused).rejects.toMatchObject({ code: 'FORMAT', field: 'b' })
    await expect(refused).rejects.toThrow(`at most ${(1 << 24) - count} array elements`)
  })

  test('has as many elements as memory bears: fewer of texts, large numbers and arrays', async () => {
    const list = (type: number, count: number) => [
      ...text('k'),
      ...u32(9),
      ...u32(type),
      ...u64(count),
    ]
    for (const [type, most, bytes] of [
      [8, 1 << 22, 8],
      [10, 1 << 22, 8],
      [9, 1 << 18, 12],
    ]) {
      const file = new Uint8Array(64 + (most + 1) * bytes)
      file.set(header(0, 1, list(type, most + 1)))
      await expect(parse(file)).rejects.toThrow(`at most ${most} array elements, got ${most + 1}`)
    }
  })

  test('arrays in arrays end at three', async () => {
    const nest = (depth: number): number[] =>
      depth === 0 ? [...u32(0), ...u64(1), 7] : [...u32(9), ...u64(1), ...nest(depth - 1)]
    const fine = await parse(header(0, 1, [...text('k'), ...u32(9), ...nest(2)]))
    expect(fine.metadata.get('k')).toEqual([[Uint32Array.of(7)]])
    const deep = header(0, 1, [...text('k'), ...u32(9), ...nest(3)])
    await expect(parse(deep)).rejects.toMatchObject({ field: 'k' })
  })
})

describe('a damaged directory', () => {
  const entry = (name: string, dims: number[], type: number, offset: number) => [
    ...text(name),
    ...u32(dims.length),
    ...dims.flatMap(u64),
    ...u32(type),
    ...u64(offset),
  ]
  const withData = (entries: number[][], dataBytes: number) => {
    const rest = entries.flat()
    const start = Math.ceil((24 + rest.length) / 32) * 32
    return header(entries.length, 0, [...rest, ...new Array(start - 24 - rest.length + dataBytes)])
  }

  test.each([
    ['five dimensions', [entry('t', [1, 1, 1, 1, 1], 0, 0)], 32],
    ['a product that overflows', [entry('t', [2 ** 40, 2 ** 40], 0, 0)], 32],
    ['a span past the end', [entry('t', [9], 0, 0)], 32],
    ['an offset past the end', [entry('t', [1], 0, 64)], 32],
    ['an offset out of line', [entry('t', [1], 0, 4)], 32],
    ['the same name twice', [entry('t', [1], 0, 0), entry('t', [1], 0, 32)], 64],
    ['an overlap', [entry('t', [16], 0, 0), entry('u', [1], 0, 32)], 64],
    ['the same place twice', [entry('t', [1], 0, 0), entry('u', [1], 0, 0)], 32],
    ['rows that are no whole blocks', [entry('t', [31, 32], 8, 0)], 2048],
  ])('is refused for %s', async (_, entries, dataBytes) => {
    const error = await parse(withData(entries, dataBytes)).catch((thrown: unknown) => thrown)
    expect(error).toMatchObject({ code: 'FORMAT', field: expect.stringMatching(/^[tu]$/) })
  })

  test('keeps an unknown type apart, with its span and the types that fit', async () => {
    const file = withData([entry('odd', [256], 40, 0), entry('b', [8], 0, 96)], 128)
    const { tensors, unread } = await parse(file)
    expect([...tensors.keys()]).toEqual(['b'])
    expect(unread?.get('odd')).toMatchObject({ type: 'NVFP4', shape: [256], byteLength: 96 })
    expect(unread?.get('odd')?.note).toMatch(/id 40 in 96 bytes.*TQ2_0/)
  })

  test('says no more of an id that is certain than that and its span', async () => {
    const { unread } = await parse(withData([entry('odd', [8], 26, 0)], 32))
    expect(unread?.get('odd')).toMatchObject({ type: 'I32', note: ', id 26 in 32 bytes' })
  })

  test.each([
    [38, 'TL1'],
    [39, 'MXFP4 or TL2'],
    [43, 'type 43'],
  ])('calls id %i by the names it has had', async (id, type) => {
    const { unread } = await parse(withData([entry('odd', [256], id, 0)], 96))
    expect(unread?.get('odd')).toMatchObject({ type })
  })

  test('keeps a tensor without elements apart, wherever it is said to be', async () => {
    const file = withData([entry('none', [4, 0], 0, 4096), entry('b', [8], 0, 0)], 32)
    const { tensors, unread } = await parse(file)
    expect([...tensors.keys()]).toEqual(['b'])
    expect(unread?.get('none')).toMatchObject({ type: 'F32', shape: [0, 4], byteLength: 0 })
  })

  test.each([
    ['before the next tensor', [entry('t', [64], 1, 0), entry('b', [8], 0, 256)], 288],
    ['before the end of the file', [entry('b', [8], 0, 0), entry('t', [64], 1, 32)], 288],
    ['behind all of it', [entry('b', [8], 0, 0), entry('t', [64], 0, 32)], 384],
  ])('does not believe a type whose span is longer %s', async (_, entries, dataBytes) => {
    const error = await parse(withData(entries, dataBytes)).catch((thrown: unknown) => thrown)
    expect(error).toMatchObject({ code: 'FORMAT', field: 't' })
  })

  test.each([
    ['Q2_0', 2304],
    ['Q2_0_128', 2176],
  ])('tells %s by its span of %i bytes', async (type, span) => {
    const file = withData([entry('w', [256, 32], 42, 0), entry('b', [8], 0, span)], span + 32)
    expect((await parse(file)).tensors.get('w')).toMatchObject({ type, byteLength: span })
  })

  test('does not believe id 42 where the span is one alignment longer', async () => {
    const span = 2304 + 32
    const file = withData([entry('w', [256, 32], 42, 0), entry('b', [8], 0, span)], span + 32)
    await expect(parse(file)).rejects.toMatchObject({ code: 'FORMAT', field: 'w' })
  })

  test.each([41, 42, 142])('does not believe id %i where the span is another', async (id) => {
    const file = withData([entry('w', [128, 8], id, 0), entry('b', [8], 0, 1024)], 1056)
    await expect(parse(file)).rejects.toThrow(/"w".*1024 lie before/)
  })

  test('does not believe id 36 where the span is that of another type', async () => {
    const file = withData([entry('w', [128, 8], 36, 0), entry('b', [8], 0, 576)], 608)
    await expect(parse(file)).rejects.toThrow(/Expected 288 bytes.*576.*IQ4_NL_4_4/)
  })
})
