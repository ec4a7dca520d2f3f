/** Attention over the cache that rope-cache writes, against float64 over plain arrays. */

import { describe, expect, test } from 'vitest'
import { float16ToFloat32, float32ToFloat16 } from '../float16.ts'
import { ropeCache } from '../rope-cache/reference.ts'
import type { CacheType } from '../storage.ts'
import { rotationTable, Seeded, stepWords } from '../testing/conformance-cases.ts'
import { type CacheMemory, placeOf, type TableMemory, writeVector } from './cache-codec.ts'
import { type CacheShape, keyCacheByteLength, valueCacheByteLength } from './layout.ts'
import { attention } from './reference.ts'

const theta = 10_000

/** All zeros. */
function emptyCache(shape: CacheShape): CacheMemory {
  return {
    ...shape,
    keys: new Uint8Array(keyCacheByteLength(shape)),
    values: new Uint8Array(valueCacheByteLength(shape)),
  }
}

/** One sequence. */
const ALONE: TableMemory = { blocks: Int32Array.of(0, 1, 2), columns: 3 }

interface Run {
  readonly qkv: Float32Array
  /** qkv as rope-cache left it. */
  readonly turned: Float32Array
  readonly out: Float32Array
}

/** Feeds `positions` tokens through both operations in one pass, into slot 1 of 2, whose blocks lie apart. */
function run(
  nHeads: number,
  nKvHeads: number,
  headDim: number,
  positions: number,
  type: CacheType = 'f16',
): Run {
  const cache = emptyCache({ type, blocks: 4, nKvHeads, headDim })
  const table = { blocks: Int32Array.of(0, 0, 3, 1), columns: 2 }
  const qkv = new Seeded(positions).floats(positions * (nHeads + 2 * nKvHeads) * headDim, 2)
  const step = stepWords(Array.from({ length: positions }, (_, p) => ({ slot: 1, position: p })))
  const turned = qkv.slice()
  ropeCache(turned, cache, table, step, rotationTable(positions, headDim, theta), positions, nHeads)
  const out = new Float32Array(positions * nHeads * headDim)
  attention(out, turned, cache, table, step, positions, nHeads)
  return { qkv, turned, out }
}

/** The head that begins at qkv[first], turned by its position's angles. */
function rotated(qkv: Float32Array, first: number, position: number, headDim: number): number[] {
  const half = headDim / 2
  return Array.from({ length: headDim }, (_, d) => {
    const angle = position * theta ** (-(d % half) / half)
    const a = qkv[first + (d % half)]
    const b = qkv[first + (d % half) + half]
    return d < half
      ? a * Math.cos(angle) - b * Math.sin(angle)
      : b * Math.cos(angle) + a * Math.sin(angle)
  })
}

const toHalf = (x: number) => float16ToFloat32(float32ToFloat16(x))

const EPS = 2 ** -24
/** What rounding to a short float changes, relative. */
const SHORT_EPS = 2 ** -13
/** Largest magnitude of a query, key or value: 2 before the rotation, at most 2 sqrt(2) after it. */
const LARGEST = 2.83

describe.each([
  [1, 1, 2, 20, 'f16'],
  [4, 2, 18, 5, 'f16'],
  [6, 2, 16, 270, 'f16'],
  [6, 2, 16, 270, 'f32'],
] as const)(
  'heads %i/%i of %i over %i positions, %s',
  (nHeads, nKvHeads, headDim, positions, type) => {
    const { qkv, turned, out } = run(nHeads, nKvHeads, headDim, positions, type)
    const stored = type === 'f16' ? toHalf : (x: number) => x
    const shortError = type === 'f16' ? SHORT_EPS : 0
    const stride = (nHeads + 2 * nKvHeads) * headDim

    test('queries and keys turn with their position and values stay', () => {
      for (let head = 0; head < nHeads + 2 * nKvHeads; head++) {
        for (let position = 0; position < positions; position++) {
          const first = position * stride + head * headDim
          const got = turned.subarray(first, first + headDim)
          if (head >= nHeads + nKvHeads) {
            expect(got).toEqual(qkv.subarray(first, first + headDim))
            continue
          }
          const exact = rotated(qkv, first, position, headDim)
          // Rounded angles, two products and a sum, each of magnitude at most LARGEST.
          const worst = Math.max(...exact.map((value, d) => Math.abs(value - got[d])))
          expect(worst).toBeLessThan(4 * EPS * LARGEST)
        }
      }
    })

    test('each row is the softmax of its scores over all positions up to its own', () => {
      // A score is a sum of headDim products; e^x takes its error over, once above and once below the
      // line, and adds its own 2e-7; the sums over positions round once a position. With halves each
      // element of a query and each weight is rounded to a short float first.
      const scoreError = ((headDim + 4) * EPS + shortError) * Math.sqrt(headDim) * LARGEST ** 2
      const tolerance = 2 * LARGEST * (scoreError + shortError + 3e-7 + (positions + 4) * EPS)
      for (const row of [0, 1, positions - 1]) {
        for (let head = 0; head < nHeads; head++) {
          const kvHead = Math.floor(head / (nHeads / nKvHeads))
          const q = turned.subarray(row * stride + head * headDim)
          const weights = Array.from({ length: row + 1 }, (_, p) => {
            const key = turned.subarray(p * stride + (nHeads + kvHead) * headDim)
            let score = 0
            for (let d = 0; d < headDim; d++) score += q[d] * stored(key[d])
            return Math.exp(score / Math.sqrt(headDim))
          })
          const total = weights.reduce((sum, w) => sum + w, 0)
          for (let d = 0; d < headDim; d++) {
            const value = (nHeads + nKvHeads + kvHead) * headDim + d
            let exact = 0
            for (const [p, w] of weights.entries())
              exact += (w / total) * stored(qkv[p * stride + value])
            const got = out[(row * nHeads + head) * headDim + d]
            expect(Math.abs(got - exact)).toBeLessThan(tolerance)
          }
        }
      }
    })
  },
)

test('a row over one position is that position value, rounded to a half', () => {
  const { qkv, out } = run(1, 1, 4, 1)
  expect(out).toEqual(qkv.slice(8, 12).map(toHalf))
})

test('weights add up to one although they are rounded', () => {
  const positions = 40
  const cache = emptyCache({ blocks: 1, nKvHeads: 1, headDim: 8 })
  const seeded = new Seeded(3)
  for (let position = 0; position < positions; position++) {
    const place = { block: 0, head: 0, position }
    writeVector(cache, 'keys', place, seeded.floats(8))
    writeVector(cache, 'values', place, new Float32Array(8).fill(1))
  }
  const out = new Float32Array(8)
  attention(out, seeded.floats(24), cache, ALONE, stepWords([{ position: positions - 1 }]), 1, 1)
  // What is left are the two orders of the sums, far below SHORT_EPS.
  for (const value of out) expect(Math.abs(value - 1)).toBeLessThan(positions * EPS)
})

test('rows do not see later positions', () => {
  const few = run(2, 1, 8, 40)
  const firstRows = few.out.slice(0, 10 * 16)
  // The same seed at another length gives other data, so the same pass is cut instead.
  const cache = emptyCache({ blocks: 1, nKvHeads: 1, headDim: 8 })
  const step = stepWords(Array.from({ length: 10 }, (_, position) => ({ position })))
  const qkv = few.qkv.slice(0, 10 * 32)
  ropeCache(qkv, cache, ALONE, step, rotationTable(10, 8, theta), 10, 2)
  const out = new Float32Array(10 * 16)
  attention(out, qkv, cache, ALONE, step, 10, 2)
  expect(out).toEqual(firstRows)
})

test('a window of w is attention to the last w positions alone', () => {
  const window = 300
  const position = 599
  const seeded = new Seeded(5)
  const shape = { blocks: 3, nKvHeads: 1, headDim: 4 }
  const [all, last] = [emptyCache(shape), emptyCache(shape)]
  for (let p = 0; p <= position; p++) {
    const [key, value] = [seeded.floats(4), seeded.floats(4)]
    const from = position + 1 - window
    for (const [cache, at] of [
      [all, p],
      [last, p - from],
    ] as const) {
      if (at < 0) continue
      writeVector(cache, 'keys', placeOf(ALONE, 0, 0, at), key)
      writeVector(cache, 'values', placeOf(ALONE, 0, 0, at), value)
    }
  }
  const qkv = seeded.floats(4 * 4)
  const [windowed, alone] = [new Float32Array(8), new Float32Array(8)]
  attention(windowed, qkv, all, ALONE, stepWords([{ position }]), 1, 2, window)
  attention(alone, qkv, last, ALONE, stepWords([{ position: window - 1 }]), 1, 2)
  // The same numbers, cut into chunks at other places.
  for (const [i, value] of windowed.entries()) expect(value).toBeCloseTo(alone[i], 5)
})
