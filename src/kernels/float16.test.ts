/** Half precision against its definition, spelled out in float64. */
import { describe, expect, test } from 'vitest'
import { decodeFloat16, float16ToFloat32, float32ToFloat16 } from './float16.ts'

/** The value of a half by the standard's formula. */
function definition(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1
  const exponent = (bits >> 10) & 31
  const fraction = bits & 1023
  if (exponent === 31) return fraction === 0 ? sign * Infinity : Number.NaN
  if (exponent === 0) return sign * fraction * 2 ** -24
  return sign * (1024 + fraction) * 2 ** (exponent - 25)
}

const all = Uint16Array.from({ length: 0x10000 }, (_, bits) => bits)

describe('decoding', () => {
  test('gives every one of the 65536 halves its value', () => {
    const wrong = [...all].filter((bits) => !Object.is(float16ToFloat32(bits), definition(bits)))
    expect(wrong).toEqual([])
  })

  test('decodes arrays like single values', () => {
    const out = new Float32Array(all.length)
    decodeFloat16(out, all)
    expect(out).toEqual(Float32Array.from(all, definition))
  })
})

describe('encoding', () => {
  test('returns every half that is a number to its own bits', () => {
    const wrong = [...all].filter(
      (bits) => !Number.isNaN(definition(bits)) && float32ToFloat16(definition(bits)) !== bits,
    )
    expect(wrong).toEqual([])
  })

  test('rounds a tie between neighbours to the even one and anything else to the nearer', () => {
    const wrong: number[] = []
    for (let bits = 0; bits < 0x7bff; bits++) {
      const tie = (definition(bits) + definition(bits + 1)) / 2
      const step = tie * 2 ** -23 // the tie is a float32; this is at least its neighbour
      const even = bits + (bits & 1)
      if (float32ToFloat16(tie) !== even) wrong.push(bits)
      if (float32ToFloat16(Math.fround(tie - step)) !== bits) wrong.push(bits)
      if (float32ToFloat16(Math.fround(-tie - step)) !== (0x8000 | (bits + 1))) wrong.push(bits)
    }
    expect(wrong).toEqual([])
  })

  test('overflows to infinity from 65520 on and underflows to a signed zero', () => {
    expect(float32ToFloat16(65519.99)).toBe(0x7bff)
    expect(float32ToFloat16(65520)).toBe(0x7c00)
    expect(float32ToFloat16(-1e30)).toBe(0xfc00)
    expect(float32ToFloat16(-Infinity)).toBe(0xfc00)
    expect(float32ToFloat16(2 ** -25)).toBe(0)
    expect(float32ToFloat16(-1e-40)).toBe(0x8000)
    expect(float32ToFloat16(Number.NaN) & 0x7fff).toBe(0x7e00)
  })
})
