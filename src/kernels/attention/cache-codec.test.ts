/** What goes into a KV cache comes out again, as near as its type can hold it, and nowhere else. */

import { describe, expect, test } from 'vitest'
import { CACHE_TYPES, type CacheType } from '../storage.ts'
import { Seeded } from '../testing/conformance-cases.ts'
import {
  type CacheMemory,
  emptyVector,
  type Position,
  readVector,
  writeVector,
} from './cache-codec.ts'
import { INT4_GROUP, keyCacheByteLength, valueCacheByteLength } from './layout.ts'

const BLOCKS = 2
const HEADS = 3

function makeCache(type: CacheType, headDim: number, fill = 0): CacheMemory {
  const shape = { type, blocks: BLOCKS, nKvHeads: HEADS, headDim }
  return {
    ...shape,
    keys: new Uint8Array(keyCacheByteLength(shape)).fill(fill),
    values: new Uint8Array(valueCacheByteLength(shape)).fill(fill),
  }
}

function readBack(cache: CacheMemory, part: 'keys' | 'values', place: Position): number[] {
  const { elements, scales, offsets } = emptyVector(cache)
  readVector({ elements, scales, offsets }, cache, part, place)
  return Array.from(elements, (element, d) => {
    const group = cache.type === 'int4' ? Math.floor(d / INT4_GROUP) : 0
    return offsets[group] + scales[group] * element
  })
}

/** Largest error of one element, as a share of the largest magnitude, 1 here. */
const TOLERANCE: Record<CacheType, number> = {
  f32: 0,
  f16: 2 ** -11,
  // Half a step of 1 / 127, and of 2 / 15; a scale is rounded to 11 bits, an offset too.
  int8: 0.5 / 127 + 2 ** -11,
  int4: 0.5 * (2 / 15) + 2 ** -10,
}

describe.each(CACHE_TYPES)('%s', (type) => {
  test.each([2, 18, 64, 80])('holds heads of %i at every position', (headDim) => {
    const cache = makeCache(type, headDim)
    const written: [Position, Float32Array, Float32Array][] = []
    const seeded = new Seeded(headDim)
    for (let block = 0; block < BLOCKS; block++) {
      for (let head = 0; head < HEADS; head++) {
        for (const position of [0, 1, 15, 16, 100, 240, 254, 255]) {
          const place = { block, head, position }
          const [key, value] = [seeded.floats(headDim), seeded.floats(headDim)]
          writeVector(cache, 'keys', place, key)
          writeVector(cache, 'values', place, value)
          written.push([place, key, value])
        }
      }
    }
    for (const [place, key, value] of written) {
      for (const [part, x] of [
        ['keys', key],
        ['values', value],
      ] as const) {
        const worst = readBack(cache, part, place).map((got, d) => Math.abs(got - x[d]))
        expect(Math.max(...worst)).toBeLessThanOrEqual(TOLERANCE[type])
      }
    }
  })

  test('has no two elements in one place, and none outside of its memory', () => {
    const headDim = 34
    for (const part of ['keys', 'values'] as const) {
      const touched = new Set<string>()
      let written = 0
      for (const position of [3, 15, 16, 254, 255]) {
        // Of all zero bytes and all one bits, what differs after the write was not written.
        const [zeros, ones] = [makeCache(type, headDim, 0), makeCache(type, headDim, 255)]
        const place = { block: 1, head: 2, position }
        const x = new Seeded(position).floats(headDim)
        writeVector(zeros, part, place, x)
        writeVector(ones, part, place, x)
        let bits = 0
        zeros[part].forEach((byte, at) => {
          for (let bit = 0; bit < 8; bit++) {
            if (((byte ^ ones[part][at]) >> bit) & 1) continue
            bits++
            touched.add(`${at}.${bit}`)
          }
        })
        const perElement = { f32: 32, f16: 16, int8: 8, int4: 4 }[type]
        const header = { f32: 0, f16: 0, int8: 16, int4: 2 * 32 }[type]
        expect(bits).toBe(headDim * perElement + header)
        written += bits
      }
      expect(touched.size).toBe(written)
    }
  })
})

test('an int4 group of equal values is held as its offset', () => {
  const cache = makeCache('int4', 64)
  const place = { block: 0, head: 0, position: 7 }
  writeVector(cache, 'keys', place, new Float32Array(64).fill(-0.75))
  expect(readBack(cache, 'keys', place)).toEqual(Array(64).fill(-0.75))
})

test('a vector of zeros is held exactly by every type', () => {
  for (const type of CACHE_TYPES) {
    const cache = makeCache(type, 6, 0x5a)
    const place = { block: 1, head: 0, position: 20 }
    writeVector(cache, 'values', place, new Float32Array(6))
    expect(readBack(cache, 'values', place)).toEqual(Array(6).fill(0))
  }
})

test.each([
  ['f32', 512 + 512],
  ['f16', 256 + 256],
  ['int8', 130 + 130],
  ['int4', 80 + 80],
] as const)('%s takes %i bytes a head of 128 and position', (type, bytes) => {
  const shape = { type, blocks: 1, nKvHeads: 1, headDim: 128 }
  expect((keyCacheByteLength(shape) + valueCacheByteLength(shape)) / 256).toBe(bytes)
})
