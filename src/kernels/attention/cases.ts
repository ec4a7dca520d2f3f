/**
 * Cases of attention: contexts around a block of 16 and a chunk of 256, every grouping of heads,
 * several sequences at once, and scores that differ by more than an exponential can hold.
 */

import { padToTile } from '../../ternary/index.ts'
import { CACHE_TYPES, type CacheType } from '../storage.ts'
import {
  bitnet2b4t,
  type KernelCase,
  Seeded,
  stale,
  stepWords,
} from '../testing/conformance-cases.ts'
import { type CacheMemory, writeVector } from './cache-codec.ts'
import { keyCacheByteLength, valueCacheByteLength } from './layout.ts'

interface Shape {
  readonly type?: CacheType
  readonly nHeads: number
  readonly nKvHeads: number
  readonly headDim: number
  readonly slots: number
  readonly capacity: number
  readonly places: readonly { slot: number; position: number }[]
  readonly window?: number
  /** Size of queries and keys. */
  readonly magnitude?: number
  /** With what halves cannot hold: one element of value 0, and the last position's key, behind the rows. */
  readonly overflows?: boolean
}

const OVERFLOW = 1e6

/** Random keys and values in all positions, and zeros where the layout pads a head. */
function filledCache(seeded: Seeded, shape: Shape, magnitude: number): CacheMemory {
  const cache = {
    ...shape,
    keys: new Uint8Array(keyCacheByteLength(shape)),
    values: new Uint8Array(valueCacheByteLength(shape)),
  }
  for (let slot = 0; slot < shape.slots; slot++) {
    for (let head = 0; head < shape.nKvHeads; head++) {
      for (let position = 0; position < shape.capacity; position++) {
        const place = { slot, head, position }
        const key = seeded.floats(shape.headDim, magnitude)
        const value = seeded.floats(shape.headDim, 2)
        if (shape.overflows && position === 0) value[3] = OVERFLOW
        if (shape.overflows && position === shape.capacity - 1) key.fill(OVERFLOW)
        writeVector(cache, 'keys', place, key)
        writeVector(cache, 'values', place, value)
      }
    }
  }
  return cache
}

function attentionCase(name: string, shape: Shape): KernelCase {
  const { type = 'f16', nHeads, nKvHeads, headDim, slots, capacity, places } = shape
  const { magnitude = 1, window } = shape
  const within = window === undefined ? '' : `, window ${window}`
  return {
    name: `${name}, ${type}: heads ${nHeads}/${nKvHeads} of ${headDim}, ${places.length} rows${within}`,
    create() {
      const seeded = new Seeded(capacity + headDim)
      const { keys, values } = filledCache(seeded, shape, magnitude)
      return {
        contents: {
          step: stepWords(places),
          qkv: seeded.floats(places.length * (nHeads + 2 * nKvHeads) * headDim, magnitude),
          keys,
          values,
          out: stale(places.length * nHeads * headDim),
        },
        command: ({ step, qkv, keys, values, out }) => ({
          op: 'attention',
          rows: places.length,
          nHeads,
          step,
          qkv,
          cache: { type, keys, values, slots, capacity, nKvHeads, headDim },
          out,
          window,
        }),
      }
    },
  }
}

const heads = {
  nHeads: bitnet2b4t.nHeads,
  nKvHeads: bitnet2b4t.nKvHeads,
  headDim: bitnet2b4t.headDim,
}

function decode(positions: number, magnitude = 1, type: CacheType = 'f16'): KernelCase {
  return attentionCase(`one row over ${positions} positions of magnitude ${magnitude}`, {
    type,
    ...heads,
    slots: 1,
    capacity: padToTile(positions),
    places: [{ slot: 0, position: positions - 1 }],
    magnitude,
  })
}

function prompt(from: number, count: number): { slot: number; position: number }[] {
  return Array.from({ length: count }, (_, i) => ({ slot: 0, position: from + i }))
}

export const cases: readonly KernelCase[] = [
  ...[1, 2, 15, 16, 17, 255, 256, 257, 512, 700].map((positions) => decode(positions)),
  decode(300, 30),
  decode(300, 0),
  attentionCase('infinite halves', {
    ...heads,
    slots: 1,
    capacity: 304,
    places: [{ slot: 0, position: 299 }],
    overflows: true,
  }),
  attentionCase('prompt', { ...heads, slots: 1, capacity: 32, places: prompt(0, 17) }),
  attentionCase('prompt across a chunk', {
    ...heads,
    slots: 1,
    capacity: 272,
    places: prompt(250, 17),
  }),
  attentionCase('several sequences', {
    ...heads,
    slots: 3,
    capacity: 528,
    places: [
      { slot: 2, position: 527 },
      { slot: 0, position: 0 },
      { slot: 1, position: 256 },
    ],
  }),
  ...[
    { nHeads: 1, nKvHeads: 1, headDim: 2 },
    { nHeads: 2, nKvHeads: 2, headDim: 18 },
    { nHeads: 6, nKvHeads: 2, headDim: 64 },
    { nHeads: 10, nKvHeads: 2, headDim: 80 },
    { nHeads: 7, nKvHeads: 1, headDim: 256 },
  ].map((shape) =>
    attentionCase('other heads', { ...shape, slots: 1, capacity: 320, places: prompt(268, 3) }),
  ),
  ...(['int8', 'int4'] as const).flatMap((type) =>
    [1, 16, 47, 257, 700].map((positions) => decode(positions, 1, type)),
  ),
  ...CACHE_TYPES.flatMap((type) =>
    [1, 2, 3, 4, 5].map((group) =>
      attentionCase('groups of heads', {
        type,
        nHeads: 2 * group,
        nKvHeads: 2,
        headDim: [32, 2, 48, 72, 98][group - 1],
        slots: 2,
        capacity: 320,
        places: [
          { slot: 1, position: 16 },
          { slot: 0, position: 318 },
          { slot: 0, position: 319 },
        ],
      }),
    ),
  ),
  // Windows that begin in the middle of a chunk, at its border, and before the sequence.
  ...CACHE_TYPES.flatMap((type) =>
    [1, 5, 17, 256, 300, 1000].map((window) =>
      attentionCase('one row and two that follow each other', {
        type,
        nHeads: 4,
        nKvHeads: 1,
        headDim: 40,
        slots: 2,
        capacity: 800,
        places: [
          { slot: 0, position: 700 },
          { slot: 1, position: 767 },
          { slot: 1, position: 768 },
        ],
        window,
      }),
    ),
  ),
  attentionCase('prompt', {
    nHeads: 4,
    nKvHeads: 2,
    headDim: 64,
    slots: 1,
    capacity: 320,
    places: prompt(280, 19),
    window: 33,
  }),
  // Rows that follow each other share passes over the cache, two to eight of them.
  ...CACHE_TYPES.flatMap((type) =>
    [1, 2, 3, 4, 5].map((group) =>
      attentionCase('prompt across a chunk, then another', {
        type,
        nHeads: group,
        nKvHeads: 1,
        headDim: 40,
        slots: 2,
        capacity: 288,
        places: [...prompt(245, 19), { slot: 1, position: 0 }, { slot: 1, position: 1 }],
      }),
    ),
  ),
]
