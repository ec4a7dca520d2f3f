/**
 * 20,000 damaged files, from a fixed seed: each must be read, or refused by a FormatError that names a
 * field, quickly and without claiming memory. What is read is decoded too.
 */
import { describe, expect, test } from 'vitest'
import { FormatError } from '../src/errors.ts'
import { memorySink } from '../src/formats/byte-sink.ts'
import { decodeDense, isDense } from '../src/formats/dense-codecs.ts'
import { parseGguf, writeGguf } from '../src/formats/gguf/index.ts'
import { memorySource } from '../src/formats/memory-source.ts'
import type { ByteSource, ModelFile } from '../src/formats/model-file.ts'
import { parseSafetensors, writeSafetensors } from '../src/formats/safetensors/index.ts'
import { elementCount } from '../src/formats/tensor-types.ts'
import { openTernary } from '../src/formats/ternary/index.ts'

const GGUF_FILES = 12_000
const SAFETENSORS_FILES = 8_000
const MAX_MILLISECONDS = 1000
const MAX_GROWTH_BYTES = 256 << 20

class Random {
  #state: number
  constructor(seed: number) {
    this.#state = seed
  }
  /** A whole number below `limit`. */
  below(limit: number): number {
    this.#state = (Math.imul(this.#state, 1664525) + 1013904223) >>> 0
    return Math.floor((this.#state / 2 ** 32) * limit)
  }
  pick<T>(list: readonly T[]): T {
    return list[this.below(list.length)]
  }
}

const bytes = (length: number, seed = 9): Uint8Array => {
  const random = new Random(seed)
  return Uint8Array.from({ length }, () => random.below(256))
}

async function healthyGguf(): Promise<Uint8Array> {
  const sink = memorySink()
  const tensor = (name: string, type: 'F32' | 'F16' | 'Q8_0', shape: number[], length: number) => ({
    ...{ name, type, shape, byteLength: length },
    data: () => [bytes(length)],
  })
  await writeGguf(sink, {
    metadata: [
      ['general.architecture', { type: 'string', value: 'bitnet-b1.58' }],
      ['general.alignment', { type: 'u32', value: 32 }],
      ['a.count', { type: 'u64', value: 7 }],
      ['a.flag', { type: 'bool', value: true }],
      ['a.words', { type: 'array', of: 'string', value: ['one', 'two', 'ビット'] }],
      ['a.numbers', { type: 'array', of: 'f32', value: [1, 2, 3] }],
    ],
    tensors: [
      tensor('norm', 'F32', [4], 16),
      {
        ...{ name: 'ternary', type: 'I2_S', shape: [2, 128], byteLength: 96 },
        data: () => [new Uint8Array(96).fill(0x41)],
      },
      {
        ...{ name: 'blocks', type: 'TQ1_0', shape: [1, 256], byteLength: 54 },
        data: () => [bytes(54)],
      },
      tensor('half', 'F16', [3, 5], 30),
      tensor('q8', 'Q8_0', [2, 32], 68),
    ],
  })
  return sink.bytes()
}

async function healthySafetensors(): Promise<Uint8Array> {
  const sink = memorySink()
  const metadata = { format: 'pt' }
  await writeSafetensors(
    sink,
    [
      { name: 'w', dtype: 'U8', shape: [2, 4], data: () => [new Uint8Array(8).fill(0x41)] },
      { name: 'w_scale', dtype: 'BF16', shape: [1], data: () => [Uint8Array.of(0x80, 0x3f)] },
      { name: 'norm', dtype: 'F32', shape: [3], data: () => [bytes(12)] },
      { name: 'positions', dtype: 'I64', shape: [2], data: () => [bytes(16)] },
    ],
    metadata,
  )
  return sink.bytes()
}

/** Values that counts, lengths and offsets are replaced by. */
const WORDS = [0n, 1n, 31n, 255n, 2n ** 31n, 2n ** 32n - 1n, 2n ** 33n, 2n ** 40n, 2n ** 53n]
WORDS.push(2n ** 62n, 2n ** 63n - 1n, 2n ** 63n, 2n ** 64n - 1n)

const NUMBERS = [
  '-1',
  '0',
  '1',
  '1.5',
  '1e308',
  '-0',
  '9007199254740993',
  'null',
  '"7"',
  '[]',
  '{}',
]
const DEEP = 200_000

function damage(healthy: Uint8Array, random: Random): Uint8Array {
  const file = healthy.slice()
  const view = new DataView(file.buffer)
  switch (random.below(6)) {
    case 0:
      return file.slice(0, random.below(file.length))
    case 1:
      for (let n = 1 + random.below(8); n > 0; n--) {
        file[random.below(file.length)] ^= 1 << random.below(8)
      }
      return file
    case 2:
      view.setBigUint64(random.below(file.length - 8), random.pick(WORDS), true)
      return file
    case 3:
      view.setUint32(random.below(file.length - 4), Number(random.pick(WORDS) & 0xffffffffn), true)
      return file
    case 4: {
      // A piece is repeated elsewhere: doubled keys and tensors, overlaps, shifted fields.
      const from = random.below(file.length)
      const piece = file.slice(from, from + 1 + random.below(80))
      const at = random.below(file.length)
      file.set(piece.subarray(0, file.length - at), at)
      return file
    }
    default: {
      const at = random.below(file.length)
      const extra = bytes(1 + random.below(40), random.below(1000))
      return Uint8Array.of(...file.subarray(0, at), ...extra, ...file.subarray(at))
    }
  }
}

/** Damage to the JSON header that keeps it JSON more often than flipped bits do. */
function damageJson(healthy: Uint8Array, random: Random): Uint8Array {
  const length = Number(new DataView(healthy.buffer).getBigUint64(0, true))
  const text = new TextDecoder().decode(healthy.subarray(8, 8 + length))
  const numbers = [...text.matchAll(/\d+(?=[,\]])/g)]
  const words = [...text.matchAll(/"(\w+)"/g)]
  const kind = random.below(20)
  const match = random.pick(kind < 14 ? numbers : words)
  // Rarely, because it is slow: nesting far beyond what a recursive reader would survive.
  const deep = () => '['.repeat(DEEP) + ']'.repeat(DEEP)
  const word = random.pick(['dtype', 'shape', 'F32', 'U8', 'w', '__metadata__', '__proto__', ''])
  const value = kind < 14 ? random.pick(NUMBERS) : random.below(100) === 0 ? deep() : `"${word}"`
  const changed = text.slice(0, match.index) + value + text.slice(match.index + match[0].length)
  const header = new TextEncoder().encode(changed)
  const file = new Uint8Array(8 + header.length + healthy.length - 8 - length)
  new DataView(file.buffer).setBigUint64(0, BigInt(header.length), true)
  file.set(header, 8)
  file.set(healthy.subarray(8 + length), 8 + header.length)
  return file
}

/** Reads everything that can be read; throws what reading throws. */
async function readWhole(file: ModelFile, size: number): Promise<void> {
  for (const tensor of file.tensors.values()) {
    const { offset, byteLength, shape, type } = tensor
    if (offset + byteLength > size) throw new Error(`${tensor.name} reaches past the end`)
    const data = await tensor.source.read(offset, byteLength)
    if (isDense(type)) decodeDense(type, data, new Float32Array(elementCount(shape)))
    if (shape.length !== 2 || type === 'Q8_0') continue
    const ternary = await openTernary(file, tensor)
    await ternary.readCodes(0, ternary.rows, new Int8Array(ternary.rows * ternary.cols))
  }
}

async function fuzz(
  count: number,
  next: (i: number) => Uint8Array,
  parse: (source: ByteSource) => Promise<ModelFile>,
): Promise<{ read: number; refused: number; slowest: number; growth: number }> {
  const memory = () => {
    const { heapUsed, arrayBuffers } = process.memoryUsage()
    return heapUsed + arrayBuffers
  }
  const before = memory()
  let [read, refused, slowest, growth] = [0, 0, 0, 0]
  for (let i = 0; i < count; i++) {
    const file = next(i)
    const start = performance.now()
    try {
      await readWhole(await parse(memorySource(file, `file ${i}`)), file.length)
      read++
    } catch (error) {
      if (!(error instanceof FormatError) || error.field === '' || error.message === '') {
        throw new Error(`file ${i} is not refused by a FormatError`, { cause: error })
      }
      refused++
    }
    slowest = Math.max(slowest, performance.now() - start)
    if (i % 100 === 0) growth = Math.max(growth, memory() - before)
  }
  return { read, refused, slowest, growth }
}

describe('damaged files', () => {
  test.each(['gguf', 'safetensors'] as const)('the healthy %s file is read', async (format) => {
    const file = format === 'gguf' ? await healthyGguf() : await healthySafetensors()
    const parsed = await (format === 'gguf' ? parseGguf : parseSafetensors)(memorySource(file))
    expect(parsed.tensors.size).toBe(format === 'gguf' ? 5 : 3)
  })

  test(`${GGUF_FILES} GGUF files are read or refused by name`, async () => {
    const healthy = await healthyGguf()
    const random = new Random(20)
    const result = await fuzz(GGUF_FILES, () => damage(healthy, random), parseGguf)
    expect(result.refused).toBeGreaterThan(GGUF_FILES / 2)
    expect(result.read).toBeGreaterThan(0)
    expect(result.slowest).toBeLessThan(MAX_MILLISECONDS)
    expect(result.growth).toBeLessThan(MAX_GROWTH_BYTES)
  })

  test(`${SAFETENSORS_FILES} safetensors files are read or refused by name`, async () => {
    const healthy = await healthySafetensors()
    const random = new Random(21)
    const next = (i: number) => (i % 2 === 0 ? damageJson : damage)(healthy, random)
    const result = await fuzz(SAFETENSORS_FILES, next, (source) => parseSafetensors(source))
    expect(result.refused).toBeGreaterThan(SAFETENSORS_FILES / 2)
    expect(result.read).toBeGreaterThan(0)
    expect(result.slowest).toBeLessThan(MAX_MILLISECONDS)
    expect(result.growth).toBeLessThan(MAX_GROWTH_BYTES)
  })
})
