/** Cases of rope-cache: several slots, both ends of the cache, narrow heads, values beyond a half. */

import { ATTENTION_CHUNK, keyCacheByteLength, valueCacheByteLength } from '../attention/layout.ts'
import { CACHE_TYPES, type CacheType } from '../storage.ts'
import {
  bitnet2b4t,
  type KernelCase,
  rotationTable,
  Seeded,
  shuffled,
  stale,
  stepWords,
} from '../testing/conformance-cases.ts'

interface Shape {
  readonly type?: CacheType
  readonly nHeads: number
  readonly nKvHeads: number
  readonly headDim: number
  readonly slots: number
  /** Positions of a sequence. */
  readonly capacity: number
  /** Which blocks sequences have, and how many there are; unset: blocks in any order, one for each chunk. */
  readonly table?: readonly number[]
  readonly blocks?: number
  readonly places: readonly { slot: number; position: number }[]
  readonly magnitude?: number
  /** RMSNorm of each head first. */
  readonly norms?: boolean
}

function ropeCase(name: string, shape: Shape): KernelCase {
  const { type = 'f16', nHeads, nKvHeads, headDim, slots, capacity, places } = shape
  const { magnitude = 4, norms = false } = shape
  const normed = norms ? ', head norms' : ''
  return {
    name: `${name}, ${type}: heads ${nHeads}/${nKvHeads} of ${headDim}, ${places.length} rows${normed}`,
    create() {
      const seeded = new Seeded(headDim * 3 + places.length)
      const columns = Math.ceil(capacity / ATTENTION_CHUNK)
      const table = Int32Array.from(shape.table ?? shuffled(slots * columns))
      const { blocks = slots * columns } = shape
      const whole = { ...shape, blocks }
      return {
        contents: {
          step: stepWords(places),
          qkv: seeded.floats(places.length * (nHeads + 2 * nKvHeads) * headDim, magnitude),
          rotations: rotationTable(capacity, headDim, bitnet2b4t.ropeTheta),
          keys: stale(keyCacheByteLength(whole) / 4),
          values: stale(valueCacheByteLength(whole) / 4),
          table,
          queryNorm: seeded.floats(headDim, 2),
          keyNorm: seeded.floats(headDim, 2),
        },
        command: ({ step, qkv, rotations, keys, values, table: data, queryNorm, keyNorm }) => ({
          op: 'rope-cache',
          rows: places.length,
          nHeads,
          step,
          qkv,
          rotations,
          cache: { type, keys, values, blocks, nKvHeads, headDim },
          table: { data, slots, columns },
          headNorms: norms ? { query: queryNorm, key: keyNorm, eps: 1e-6 } : undefined,
        }),
      }
    },
  }
}

const heads = { nHeads: 20, nKvHeads: 5, headDim: 128 }
const prompt = Array.from({ length: 17 }, (_, i) => ({ slot: 1, position: 15 + i }))

export const cases: readonly KernelCase[] = [
  ropeCase('first token', { ...heads, slots: 1, capacity: 16, places: [{ slot: 0, position: 0 }] }),
  ropeCase('prompt across a block', { ...heads, slots: 2, capacity: 64, places: prompt }),
  ropeCase('several sequences', {
    ...heads,
    slots: 3,
    capacity: 48,
    places: [
      { slot: 2, position: 47 },
      { slot: 0, position: 0 },
      { slot: 1, position: 16 },
    ],
  }),
  ...CACHE_TYPES.map((type) =>
    ropeCase('scattered and shared blocks', {
      type,
      nHeads: 4,
      nKvHeads: 2,
      headDim: 48,
      slots: 3,
      capacity: 600,
      blocks: 11,
      table: [9, 2, 10, 9, 4, 0, 9, 2, 6],
      places: [
        { slot: 1, position: 255 },
        { slot: 1, position: 256 },
        { slot: 0, position: 599 },
        { slot: 2, position: 512 },
        { slot: 2, position: 513 },
      ],
    }),
  ),
  ropeCase('smallest head', {
    nHeads: 1,
    nKvHeads: 1,
    headDim: 2,
    slots: 1,
    capacity: 16,
    places: [
      { slot: 0, position: 14 },
      { slot: 0, position: 15 },
    ],
  }),
  ...[6, 18, 80].map((headDim) =>
    ropeCase('odd width', {
      nHeads: 6,
      nKvHeads: 2,
      headDim,
      slots: 2,
      capacity: 32,
      places: prompt.slice(0, 3),
    }),
  ),
  ...(['f32', 'int8', 'int4'] as const).flatMap((type) => [
    ropeCase('prompt across a block', { type, ...heads, slots: 2, capacity: 64, places: prompt }),
    ...[2, 6, 18, 64, 80].map((headDim) =>
      ropeCase('odd width', {
        type,
        nHeads: 6,
        nKvHeads: 2,
        headDim,
        slots: 2,
        capacity: 32,
        places: prompt.slice(0, 3),
      }),
    ),
    // Scales of zero, subnormal, almost infinite and infinite.
    ...[0, 1e-9, 1e-5, 3e5, 1e9].map((magnitude) =>
      ropeCase(`magnitude ${magnitude}`, {
        type,
        ...heads,
        slots: 1,
        capacity: 16,
        places: [{ slot: 0, position: 3 }],
        magnitude,
      }),
    ),
  ]),
  ...[2, 18, 100, 128, 256].map((headDim) =>
    ropeCase('norms', {
      nHeads: 6,
      nKvHeads: 2,
      headDim,
      slots: 2,
      capacity: 32,
      places: prompt.slice(0, 3),
      norms: true,
    }),
  ),
  ropeCase('norms of zeros', {
    type: 'int8',
    ...heads,
    slots: 1,
    capacity: 16,
    places: [{ slot: 0, position: 3 }],
    magnitude: 0,
    norms: true,
  }),
  ropeCase('overflow to infinity', {
    ...heads,
    slots: 1,
    capacity: 16,
    places: [{ slot: 0, position: 3 }],
    magnitude: 2e5,
  }),
  ropeCase('subnormal halves', {
    ...heads,
    slots: 1,
    capacity: 16,
    places: [{ slot: 0, position: 3 }],
    magnitude: 1e-5,
  }),
]
