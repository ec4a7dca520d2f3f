/**
 * Reading safetensors: what the writer wrote comes back, and each kind of damage is named.
 */
import { describe, expect, test } from 'vitest'
import { ShapeError } from '../../errors.ts'
import { memorySink } from '../byte-sink.ts'
import { memorySource } from '../memory-source.ts'
import type { ByteSource } from '../model-file.ts'
import { parseSafetensors } from './parse-safetensors.ts'
import { writeSafetensors } from './write-safetensors.ts'

/** A file by hand: length, header text, then `dataBytes` zeros. */
function fileOf(json: string, dataBytes = 0, claimed?: bigint): Uint8Array {
  const text = new TextEncoder().encode(json)
  const bytes = new Uint8Array(8 + text.length + dataBytes)
  new DataView(bytes.buffer).setBigUint64(0, claimed ?? BigInt(text.length), true)
  bytes.set(text, 8)
  return bytes
}

function parse(bytes: Uint8Array) {
  return parseSafetensors(memorySource(bytes, 'test.safetensors'))
}

const entry = (dtype: unknown, shape: unknown, offsets: unknown) =>
  JSON.stringify({ t: { dtype, shape, data_offsets: offsets } })

describe('a written file', () => {
  test('comes back with its tensors, metadata and data', async () => {
    const sink = memorySink()
    const written = await writeSafetensors(
      sink,
      [
        { name: 'codes', dtype: 'U8', shape: [3], data: () => [Uint8Array.of(1, 2, 3)] },
        { name: 'positions', dtype: 'I64', shape: [2], data: () => [new Uint8Array(16)] },
        { name: 'scalar', dtype: 'F32', shape: [], data: () => [new Uint8Array(4)] },
        { name: '__proto__', dtype: 'BF16', shape: [2, 1], data: () => [new Uint8Array(4)] },
      ],
      { format: 'pt' },
    )
    const bytes = sink.bytes()
    expect(bytes.length).toBe(written)
    const file = await parse(bytes)
    expect([...file.tensors.keys()].sort()).toEqual(['__proto__', 'codes', 'scalar'])
    expect(file.metadata.get('format')).toBe('pt')
    const codes = file.tensors.get('codes')
    expect(await codes?.source.read(codes.offset, 3)).toEqual(Uint8Array.of(1, 2, 3))
    expect(file.unread.get('positions')).toMatchObject({ type: 'I64', shape: [2] })
  })

  test('is not written from data of the wrong length', async () => {
    const short = { name: 't', dtype: 'U8', shape: [4], data: () => [new Uint8Array(3)] } as const
    await expect(writeSafetensors(memorySink(), [short])).rejects.toBeInstanceOf(ShapeError)
    await expect(writeSafetensors(memorySink(), [short, short])).rejects.toBeInstanceOf(ShapeError)
  })
})

describe('a damaged file', () => {
  test.each([
    ['header length', new Uint8Array(7)],
    ['header length', fileOf('{}', 0, 3n)],
    ['header length', fileOf('{}', 0, 2n ** 63n)],
    ['header', fileOf('{')],
    ['header', fileOf('[]')],
    ['header', fileOf('[[[['.repeat(10_000))],
    ['header', fileOf('{}', 1)],
    ['__metadata__', fileOf('{"__metadata__":[]}')],
    ['t', fileOf('{"t":null}')],
    ['t', fileOf(entry(7, [1], [0, 1]), 1)],
    ['t', fileOf(entry('U8', [-1], [0, 1]), 1)],
    ['t', fileOf(entry('U8', [1.5], [0, 1]), 1)],
    ['t', fileOf(entry('U8', [1, 1, 1, 1, 1, 1, 1, 1, 1], [0, 1]), 1)],
    ['t', fileOf(entry('U8', [2 ** 52, 2 ** 52], [0, 1]), 1)],
    ['t', fileOf(entry('U8', [1], [1, 0]), 1)],
    // Of types of less than a byte only the order is known.
    ['t', fileOf(entry('F4', [2], [1, 0]), 1)],
    ['t', fileOf(entry('U8', [1], [0, 1, 2]), 1)],
    ['t', fileOf(entry('F32', [1], [0, 3]), 3)],
    ['t', fileOf(entry('U8', [1], [1, 2]), 2)],
    ['t', fileOf(entry('U8', [9], [0, 9]), 8)],
  ])('is refused naming %s', async (field, bytes) => {
    const path = 'test.safetensors'
    await expect(parse(bytes)).rejects.toMatchObject({ code: 'FORMAT', field, path })
  })

  test('is refused for a header that is no UTF-8', async () => {
    const bytes = fileOf('{"__metadata__":{"k":"~"}}')
    bytes[bytes.indexOf('~'.charCodeAt(0))] = 0xff
    await expect(parse(bytes)).rejects.toMatchObject({ code: 'FORMAT', field: 'header' })
  })

  test('is refused for a header of more than 100 MB before that is read', async () => {
    const source: ByteSource = {
      name: 'endless.safetensors',
      size: 2 ** 40,
      async read(offset, length) {
        if (offset + length > 8) throw new Error(`read ${length} bytes`)
        return fileOf('', 0, 100_000_001n)
      },
      async close() {},
    }
    const refused = parseSafetensors(source)
    await expect(refused).rejects.toMatchObject({ code: 'FORMAT', field: 'header length' })
  })

  test('is refused where tensors overlap or leave a hole', async () => {
    const two = (b: number[]) =>
      `{"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},` +
      `"b":{"dtype":"U8","shape":[4],"data_offsets":[${b}]}}`
    await expect(parse(fileOf(two([2, 6]), 6))).rejects.toThrow('overlap')
    await expect(parse(fileOf(two([5, 9]), 9))).rejects.toThrow('hole')
    expect((await parse(fileOf(two([4, 8]), 8))).tensors.size).toBe(2)
  })
})
