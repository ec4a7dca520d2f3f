/**
 * Ternary tensors from every storage type: the codes that went in come out, whatever the row ranges.
 */
import { describe, expect, test } from 'vitest'
import type { JsonObject } from '../../checks.ts'
import { FormatError, ShapeError } from '../../errors.ts'
import { absmeanQuantize } from '../../ternary/index.ts'
import { encodeDense } from '../dense-codecs.ts'
import { memorySource } from '../memory-source.ts'
import type { ModelFile, TensorInfo, TensorType, TernaryTensor } from '../model-file.ts'
import { encodeTernary, packHf, type TernaryStorage } from './index.ts'
import { openTernary } from './open-ternary.ts'

/** Codes from a fixed seed. */
function randomCodes(count: number, seed = 3): Int8Array {
  let state = seed
  return Int8Array.from({ length: count }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return ((state >>> 16) % 3) - 1
  })
}

function tensorOf(bytes: Uint8Array, type: TensorType, shape: number[], name = 'w'): TensorInfo {
  const source = memorySource(bytes)
  return { name, type, shape, source, offset: 0, byteLength: bytes.length }
}

function fileOf(
  tensors: TensorInfo[],
  format: ModelFile['format'] = 'gguf',
  config: JsonObject = {},
): ModelFile {
  const file = { format, name: 'test', tensors: new Map(tensors.map((t) => [t.name, t])), config }
  return { ...file, async close() {} }
}

function matrixOf(codes: Int8Array, rows: number, cols: number, scale: number): TernaryTensor {
  return {
    name: 'w',
    rows,
    cols,
    scale,
    origin: 'test',
    lossless: true,
    async readCodes(row, count, out) {
      out.set(codes.subarray(row * cols, (row + count) * cols))
    },
  }
}

async function stored(
  type: TernaryStorage,
  codes: Int8Array,
  rows: number,
  cols: number,
  scale: number,
): Promise<TensorInfo> {
  const pieces: number[] = []
  for await (const piece of encodeTernary(type, matrixOf(codes, rows, cols, scale))) {
    pieces.push(...piece)
  }
  return tensorOf(Uint8Array.from(pieces), type, [rows, cols])
}

/** All codes, asked for in the given steps. */
async function readAll(tensor: TernaryTensor, step: number): Promise<Int8Array> {
  const codes = new Int8Array(tensor.rows * tensor.cols)
  for (let row = 0; row < tensor.rows; row += step) {
    const count = Math.min(step, tensor.rows - row)
    await tensor.readCodes(row, count, codes.subarray(row * tensor.cols))
  }
  return codes
}

async function open(tensor: TensorInfo): Promise<TernaryTensor> {
  return openTernary(fileOf([tensor]), tensor)
}

describe('block types', () => {
  test.each([
    ['I2_S', 8, 128],
    ['I2_S', 8, 48],
    ['I2_S', 128, 5],
    ['TQ1_0', 5, 512],
    ['TQ2_0', 5, 512],
  ] as const)('%s of %i x %i gives back its codes and scale', async (type, rows, cols) => {
    const codes = randomCodes(rows * cols)
    const tensor = await stored(type, codes, rows, cols, 0.375)
    const opened = await open(tensor)
    expect(opened).toMatchObject({ rows, cols, scale: 0.375, origin: type, lossless: true })
    for (const step of [1, 3, 16, rows]) expect(await readAll(opened, step)).toEqual(codes)
  })

  test('I2_S puts element 128 B + 32 g + p into bits 7-2g of byte 32 B + p', async () => {
    const codes = new Int8Array(256).fill(0)
    codes[128 + 32 + 5] = 1
    const tensor = await stored('I2_S', codes, 2, 128, 1)
    const bytes = await tensor.source.read(0, tensor.byteLength)
    expect(bytes.length).toBe(64 + 32)
    expect(bytes[32 + 5]).toBe(0b01100101)
    expect(new DataView(bytes.buffer).getFloat32(64, true)).toBe(1)
  })

  test('the 28 bytes after the scale of I2_S mean nothing', async () => {
    const tensor = await stored('I2_S', randomCodes(128), 1, 128, 2)
    const bytes = await tensor.source.read(0, tensor.byteLength)
    const opened = await open({ ...tensor, source: memorySource(bytes.fill(0xff, 32 + 4)) })
    expect(opened.scale).toBe(2)
    expect(await readAll(opened, 1)).toEqual(randomCodes(128))
  })

  test('a TQ block with the scale turned round is turned back, one without weights is free', async () => {
    const codes = randomCodes(768)
    codes.fill(0, 256, 512)
    const tensor = await stored('TQ2_0', codes, 1, 768, 0.5)
    const bytes = await tensor.source.read(0, tensor.byteLength)
    bytes.set([0, 0x40], 66 + 64) // 2.0 on the block of zeros
    bytes.set([0, 0xb8], 2 * 66 + 64) // -0.5 on the last block
    const opened = await open({ ...tensor, source: memorySource(bytes) })
    const expected = codes.map((code, i) => (i >= 512 && code !== 0 ? -code : code))
    expect(await readAll(opened, 1)).toEqual(expected)
  })

  test('TQ blocks with several scales are refused by name', async () => {
    const tensor = await stored('TQ1_0', randomCodes(512), 1, 512, 0.5)
    const bytes = await tensor.source.read(0, tensor.byteLength)
    bytes.set([0, 0x40], 54 + 52)
    const opened = await open({ ...tensor, source: memorySource(bytes) })
    await expect(readAll(opened, 1)).rejects.toMatchObject({ code: 'FORMAT', field: 'w' })
  })

  test.each(['I2_S', 'TQ2_0'] as const)('the code 3 in %s is refused', async (type) => {
    const tensor = await stored(type, randomCodes(256), 1, 256, 0.5)
    const bytes = await tensor.source.read(0, tensor.byteLength)
    bytes[7] |= 0b00110000
    const opened = await open({ ...tensor, source: memorySource(bytes) })
    await expect(readAll(opened, 1)).rejects.toBeInstanceOf(FormatError)
  })

  test.each([
    ['turned round', [0, 0xb8]],
    ['of its own', [0, 0x40]],
    ['of zero', [0, 0]],
  ])('the code 3 in a TQ2_0 block with a scale %s is refused', async (_, scale) => {
    const tensor = await stored('TQ2_0', randomCodes(512), 1, 512, 0.5)
    const bytes = await tensor.source.read(0, tensor.byteLength)
    bytes.set(scale, 66 + 64)
    bytes[66 + 7] |= 0b00110000
    const opened = await open({ ...tensor, source: memorySource(bytes) })
    await expect(readAll(opened, 1)).rejects.toThrow('Expected the codes 0, 1 and 2')
  })

  test('a scale that is not positive, or that nothing survives, is refused', async () => {
    for (const scale of [0, -1, Number.NaN, Number.POSITIVE_INFINITY, 3e38, 1e7, 1e-20, 1e-40]) {
      const tensor = await stored('I2_S', randomCodes(128), 1, 128, 1)
      const bytes = await tensor.source.read(0, tensor.byteLength)
      new DataView(bytes.buffer).setFloat32(32, scale, true)
      await expect(open({ ...tensor, source: memorySource(bytes) })).rejects.toThrow('scale')
    }
  })

  test('a scale tensor beside it multiplies', async () => {
    const weight = { ...(await stored('I2_S', randomCodes(128), 1, 128, 2)), name: 'a.weight' }
    const scale = tensorOf(encodeDense('F32', Float32Array.of(0.25)), 'F32', [1], 'a.scale')
    expect((await openTernary(fileOf([weight, scale]), weight)).scale).toBe(0.5)
  })
})

describe('packed bytes', () => {
  const scaleTensor = (value: number) =>
    tensorOf(encodeDense('BF16', Float32Array.of(value)), 'BF16', [1], 'w_scale')

  test.each([
    [8, 16],
    [12, 7],
    [16, 1],
  ])('%i x %i gives back its codes', async (rows, cols) => {
    const codes = randomCodes(rows * cols)
    const tensor = tensorOf(packHf(codes, rows, cols), 'U8', [rows / 4, cols])
    const opened = await openTernary(fileOf([tensor, scaleTensor(4)], 'safetensors'), tensor)
    for (const step of [1, 3, rows]) expect(await readAll(opened, step)).toEqual(codes)
  })

  test('quarters of the rows are planes, the first in the lowest bits', () => {
    const codes = Int8Array.of(1, 0, -1, 1, 0, 0, 0, 0)
    expect([...packHf(codes, 8, 1)]).toEqual([0b01_01_00_10, 0b01_01_10_01])
  })

  test('weight_scale multiplies for autobitlinear and divides otherwise', async () => {
    const tensor = tensorOf(packHf(randomCodes(16), 4, 4), 'U8', [1, 4])
    const tensors = [tensor, scaleTensor(4)]
    const auto = { quantization_config: { linear_class: 'autobitlinear' } }
    const file = fileOf(tensors, 'safetensors', auto)
    expect((await openTernary(file, tensor)).scale).toBe(4)
    expect((await openTernary(fileOf(tensors, 'safetensors'), tensor)).scale).toBe(0.25)
    const options = { scaleConvention: 'divide', weightScale: 8 } as const
    expect((await openTernary(file, tensor, options)).scale).toBe(0.125)
  })

  test('rows that are no multiple of four are cut back', async () => {
    const codes = randomCodes(6 * 5)
    const tensor = tensorOf(packHf(codes, 6, 5), 'U8', [2, 5])
    const file = fileOf([tensor, scaleTensor(1)], 'safetensors')
    expect(await readAll(await openTernary(file, tensor, { rows: 6 }), 4)).toEqual(codes)
    await expect(openTernary(file, tensor, { rows: 3 })).rejects.toBeInstanceOf(FormatError)
  })

  test('the code 3 is refused, in whichever plane it is', async () => {
    for (const plane of [0, 1, 2, 3]) {
      const bytes = packHf(randomCodes(64), 16, 4)
      bytes[13] |= 3 << (2 * plane)
      const tensor = tensorOf(bytes, 'U8', [4, 4])
      const opened = await openTernary(fileOf([tensor, scaleTensor(1)], 'safetensors'), tensor)
      await expect(readAll(opened, 3)).rejects.toMatchObject({ code: 'FORMAT', field: 'w' })
    }
  })

  test('a weight_scale of several numbers is refused', async () => {
    const tensor = tensorOf(packHf(randomCodes(16), 4, 4), 'U8', [1, 4])
    const scales = tensorOf(encodeDense('BF16', Float32Array.of(1, 2)), 'BF16', [2], 'w_scale')
    const opening = openTernary(fileOf([tensor, scales], 'safetensors'), tensor)
    await expect(opening).rejects.toMatchObject({ code: 'FORMAT', field: 'w_scale' })
  })

  test('a missing weight_scale is named', async () => {
    const tensor = tensorOf(packHf(randomCodes(16), 4, 4), 'U8', [1, 4])
    await expect(open(tensor)).rejects.toMatchObject({ field: 'w_scale' })
  })
})

describe('float weights', () => {
  test.each(['F32', 'F16', 'BF16'] as const)(
    '%s masters are quantised by absmean',
    async (type) => {
      const weights = Float32Array.from(randomCodes(480), (code, i) => (code * (1 + (i % 7))) / 8)
      const tensor = tensorOf(encodeDense(type, weights), type, [10, 48])
      const opened = await open(tensor)
      const expected = absmeanQuantize(weights)
      expect(opened.scale).toBe(expected.scale)
      expect(opened).toMatchObject({ lossless: false, origin: `${type}, quantised by absmean` })
      expect(await readAll(opened, 3)).toEqual(expected.codes)
    },
  )

  test.each(['F32', 'F16', 'BF16'] as const)(
    '%s of -s, 0 and +s is taken as it is',
    async (type) => {
      const codes = randomCodes(480)
      const weights = Float32Array.from(codes, (code) => code * 0.0625)
      const opened = await open(tensorOf(encodeDense(type, weights), type, [10, 48]))
      expect(opened).toMatchObject({ scale: 0.0625, lossless: true })
      expect(opened.origin).toBe(`${type}, ternary already`)
      expect(await readAll(opened, 16)).toEqual(codes)
    },
  )

  test('a matrix of zeros has codes 0 and a harmless scale', async () => {
    const opened = await open(tensorOf(new Uint8Array(64), 'F16', [2, 16]))
    expect(opened.scale).toBeGreaterThan(0)
    expect(await readAll(opened, 1)).toEqual(new Int8Array(32))
  })

  test.each(['F32', 'F16', 'BF16'] as const)('%s with infinity or NaN is refused', async (type) => {
    for (const bad of [Number.POSITIVE_INFINITY, Number.NaN]) {
      const bytes = encodeDense(type, Float32Array.of(1, bad))
      await expect(open(tensorOf(bytes, type, [1, 2]))).rejects.toThrow('finite')
    }
  })
})

test('other types and shapes are refused by name', async () => {
  await expect(open(tensorOf(new Uint8Array(34), 'Q8_0', [1, 32]))).rejects.toThrow('Q8_0')
  await expect(open(tensorOf(new Uint8Array(34), 'F16', [17]))).rejects.toThrow('matrix')
})

test('rows outside the matrix and too little room are refused', async () => {
  const opened = await open(await stored('I2_S', randomCodes(256), 2, 128, 1))
  await expect(opened.readCodes(1, 2, new Int8Array(256))).rejects.toBeInstanceOf(ShapeError)
  await expect(opened.readCodes(0, 1, new Int8Array(127))).rejects.toBeInstanceOf(ShapeError)
})
