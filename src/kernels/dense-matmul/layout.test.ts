/** The dense layout against its index formulas, spelled out again. */
import { describe, expect, test } from 'vitest'
import { ShapeError } from '../../errors.ts'
import { denseByteLength, denseFloats, denseHalves, packDense, unpackDense } from './layout.ts'

/** Multiples of 1/8 from -16 to 16: exact in halves too. */
function eighths(count: number): Float32Array {
  return Float32Array.from({ length: count }, (_, i) => (((i * 37) % 257) - 128) / 8)
}

const shapes = [
  [1, 1],
  [1, 17],
  [15, 3],
  [16, 4],
  [17, 5],
  [33, 16],
]

describe.each(shapes)('a dense matrix of %i x %i', (rows, cols) => {
  const values = eighths(rows * cols)

  test('comes back unchanged from f32 and f16', () => {
    expect(unpackDense(packDense('f32', values, rows, cols))).toEqual(values)
    expect(unpackDense(packDense('f16', values, rows, cols))).toEqual(values)
  })

  test('comes back from int8 within half a step of each row', () => {
    const packed = packDense('int8', values, rows, cols)
    const back = unpackDense(packed)
    for (let r = 0; r < rows; r++) {
      const row = values.subarray(r * cols, (r + 1) * cols)
      const step = Math.max(...row.map(Math.abs)) / 127
      expect(packed.scales?.[r]).toBe(Math.fround(step))
      for (let c = 0; c < cols; c++) {
        expect(Math.abs(back[r * cols + c] - row[c])).toBeLessThanOrEqual(step * 0.5001)
      }
    }
  })

  test('puts every element where the layout says and zero everywhere else', () => {
    const expected = new Float32Array(Math.ceil(rows / 16) * 16 * cols)
    for (let r = 0; r < rows; r++) {
      for (let c = 0; c < cols; c++) {
        expected[(Math.floor(r / 16) * cols + c) * 16 + (r % 16)] = values[r * cols + c]
      }
    }
    const packed = packDense('f32', values, rows, cols)
    expect(packed.data.byteLength).toBe(denseByteLength('f32', rows, cols))
    expect(denseFloats(packed.data)).toEqual(expected)
  })
})

describe('int8', () => {
  test('stores w + 128 four columns to a lane and pads with 128', () => {
    const packed = packDense('int8', Float32Array.of(127, -127, 3, -4, 2), 1, 5)
    const expected = new Uint8Array(2 * 16 * 4).fill(128)
    expected.set([255, 1, 131, 124], 0)
    expected[64] = 130
    expect(packed.data).toEqual(expected)
    expect(packed.scales).toEqual(Float32Array.from({ length: 16 }, (_, r) => (r === 0 ? 1 : 0)))
  })

  test('rounds ties to even', () => {
    const packed = packDense('int8', Float32Array.of(127, 0.5, 1.5, 2.5, -0.5, -1.5), 1, 6)
    expect(unpackDense(packed)).toEqual(Float32Array.of(127, 0, 2, 2, 0, -2))
  })

  test('gives a row of zeros, or of vanishing values, the scale 0', () => {
    const packed = packDense('int8', Float32Array.of(0, 0, 1e-40, -1e-44), 2, 2)
    expect(packed.scales?.[0]).toBe(0)
    expect(packed.scales?.[1]).toBe(0)
    expect(packed.data.every((byte) => byte === 128)).toBe(true)
  })
})

test('f16 keeps the same order as f32', () => {
  const packed = packDense('f16', Float32Array.of(1, 2, 3, 4), 2, 2)
  expect([...denseHalves(packed.data)].slice(0, 2)).toEqual([0x3c00, 0x4200])
  expect([...denseHalves(packed.data)].slice(16, 18)).toEqual([0x4000, 0x4400])
})

test('packing refuses arguments of the wrong length', () => {
  expect(() => packDense('f32', new Float32Array(5), 2, 3)).toThrow(ShapeError)
})
