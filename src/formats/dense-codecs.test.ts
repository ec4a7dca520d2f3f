/**
 * Decoding against blocks that another implementation decoded (test/fixtures/formats/quant-blocks.json,
 * random blocks and their values by gguf-py), and encoding against decoding.
 */
import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { ShapeError } from '../errors.ts'
import { decodeDense, type EncodableType, encodeDense, isDense } from './dense-codecs.ts'
import { tensorByteLength } from './tensor-types.ts'

const fixture: Record<string, { bytes: string; values: string }> = JSON.parse(
  readFileSync(new URL('../../test/fixtures/formats/quant-blocks.json', import.meta.url), 'utf8'),
)

function unbase64(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text, 'base64'))
}

/** Normal-like numbers from a fixed seed. */
function gaussians(count: number, seed = 1): Float32Array {
  let state = seed
  const next = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return state / 2 ** 32
  }
  return Float32Array.from({ length: count }, () => next() + next() + next() + next() - 2)
}

function relativeError(type: EncodableType, values: Float32Array): number {
  const back = new Float32Array(values.length)
  decodeDense(type, encodeDense(type, values), back)
  let error = 0
  let power = 0
  for (let i = 0; i < values.length; i++) {
    error += (back[i] - values[i]) ** 2
    power += values[i] ** 2
  }
  return Math.sqrt(error / power)
}

describe('decoding', () => {
  test.each(Object.keys(fixture))(
    '%s blocks have the values of the other implementation',
    (name) => {
      const bytes = unbase64(fixture[name].bytes)
      const expected = new Float32Array(unbase64(fixture[name].values).buffer)
      const out = new Float32Array(expected.length)
      const type = name as 'Q8_0'
      decodeDense(type, bytes, out)
      expect(out).toEqual(expected)
    },
  )

  test('does not mind bytes that lie at an odd address', () => {
    for (const type of ['F32', 'F16', 'BF16'] as const) {
      const bytes = encodeDense(type, Float32Array.of(1, -0.5, 3))
      const shifted = new Uint8Array(bytes.length + 1)
      shifted.set(bytes, 1)
      const out = new Float32Array(3)
      decodeDense(type, shifted.subarray(1), out)
      expect([...out]).toEqual([1, -0.5, 3])
    }
  })

  test('refuses lengths that do not agree and types without values of their own', () => {
    expect(() => decodeDense('Q8_0', new Uint8Array(34), new Float32Array(31))).toThrow(ShapeError)
    expect(() => decodeDense('F16', new Uint8Array(3), new Float32Array(2))).toThrow(ShapeError)
    expect(() => decodeDense('I2_S', new Uint8Array(64), new Float32Array(128))).toThrow(ShapeError)
    expect(isDense('U8')).toBe(false)
  })
})

describe('encoding', () => {
  test('F32 and the 16-bit types keep what they can hold exactly', () => {
    const values = Float32Array.of(0, -0, 1, -2.5, 2 ** -14, 65504)
    for (const type of ['F32', 'F16'] as const) {
      const back = new Float32Array(values.length)
      decodeDense(type, encodeDense(type, values), back)
      expect(back).toEqual(values)
    }
  })

  test('BF16 rounds half to even and keeps NaN', () => {
    const values = Float32Array.of(1 + 2 ** -8, 1 + 3 * 2 ** -8, Number.NaN, 3e38)
    const back = new Float32Array(4)
    decodeDense('BF16', encodeDense('BF16', values), back)
    expect([...back.subarray(0, 3)]).toEqual([1, 1 + 2 ** -6, Number.NaN])
    expect(back[3]).toBeGreaterThan(2.98e38)
  })

  // Uniform rounding to b bits over a range of +-r leaves an error of about r / 2^(b-1) / sqrt(12);
  // these values have a deviation of 0.58 and reach 1.5 to 2 within a block.
  test.each([
    ['Q8_0', 0.006],
    // Three candidates for each step give 0.0168; one alone is 6 % worse.
    ['Q6_K', 0.0169],
    ['Q4_0', 0.11],
  ] as const)('%s keeps a relative error below %f', (type, limit) => {
    const error = relativeError(type, gaussians(4096))
    expect(error).toBeLessThan(limit)
    expect(error).toBeGreaterThan(limit / 10)
  })

  test('blocks of zeros stay zeros', () => {
    for (const type of ['Q8_0', 'Q6_K', 'Q4_0'] as const) {
      const back = new Float32Array(512).fill(1)
      decodeDense(type, encodeDense(type, new Float32Array(512)), back)
      expect(back.every((value) => value === 0)).toBe(true)
    }
  })

  test('refuses values that are no whole blocks', () => {
    expect(() => encodeDense('Q6_K', new Float32Array(255))).toThrow(ShapeError)
  })
})

describe('tensorByteLength', () => {
  test('counts blocks by rows, and for I2_S over the whole tensor', () => {
    expect(tensorByteLength('F32', [3, 5])).toBe(60)
    expect(tensorByteLength('Q6_K', [2, 512])).toBe(840)
    expect(tensorByteLength('I2_S', [4, 96])).toBe(96 + 32)
    expect(tensorByteLength('F32', [])).toBe(4)
  })

  test('refuses rows that are no whole blocks and products that overflow', () => {
    expect(() => tensorByteLength('Q8_0', [32, 31])).toThrow(ShapeError)
    expect(() => tensorByteLength('I2_S', [3, 96])).toThrow(ShapeError)
    expect(() => tensorByteLength('F32', [2 ** 40, 2 ** 40])).toThrow(ShapeError)
  })
})
