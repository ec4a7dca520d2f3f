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
  shuffled,
  stale,
  stepWords,
} from '../testing/conformance-cases.ts'
import { type CacheMemory, placeOf, type TableMemory, writeVector } from './cache-codec.ts'
import { ATTENTION_CHUNK, keyCacheByteLength, valueCacheByteLength } from './layout.ts'

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
  readonly window?: number
  /** Size of queries and keys. */
  readonly magnitude?: number
  /** With what halves cannot hold: one element of value 0, and the last position's key, behind the rows. */
  readonly overflows?: boolean
}

const OVERFLOW = 1e6

/** Random keys and values in all blocks, and zeros where the layout pads a head. */
function filledCache(
  seeded: Seeded,
  shape: Shape,
  blocks: number,
  table: TableMemory,
  magnitude: number,
): CacheMemory {
  const whole = { ...shape, blocks }
  const cache = {
    ...whole,
    keys: new Uint8Array(keyCacheByteLength(whole)),
    values: new Uint8Array(valueCacheByteLength(whole)),
  }
  for (let slot = 0; slot < shape.slots; slot++) {
    for (let head = 0; head < shape.nKvHeads; head++) {
      for (let position = 0; position < shape.capacity; position++) {
        const place = placeOf(table, slot, head, position)
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
      const columns = Math.ceil(capacity / ATTENTION_CHUNK)
      const table = Int32Array.from(shape.table ?? shuffled(slots * columns))
      const { blocks = slots * columns } = shape
      const { keys, values } = filledCache(
        seeded,
        shape,
        blocks,
        { blocks: table, columns },
        magnitude,
      )
      return {
        contents: {
          step: stepWords(places),
          qkv: seeded.floats(places.length * (nHeads + 2 * nKvHeads) * headDim, magnitude),
          keys,
          values,
          table,
          out: stale(places.length * nHeads * headDim),
        },
        command: ({ step, qkv, keys, values, table: data, out }) => ({
          op: 'attention',
          rows: places.length,
          nHeads,
          step,
          qkv,
          cache: { type, keys, values, blocks, nKvHeads, headDim },
          table: { data, slots, columns },
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

function prompt(from: number, count: number, slot = 0): { slot: number; position: number }[] {
  return Array.from({ length: count }, (_, i) => ({ slot, position: from + i }))
}

/** Sequences that share their first blocks, and go on in others, which lie apart and in no order. */
const shared = {
  slots: 4,
  capacity: 700,
  blocks: 13,
  table: [9, 2, 11, 9, 2, 4, 9, 12, 0, 7, 7, 7],
  places: [
    { slot: 2, position: 600 },
    { slot: 0, position: 513 },
    { slot: 1, position: 512 },
    { slot: 1, position: 513 },
    { slot: 3, position: 699 },
  ],
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
  ...CACHE_TYPES.flatMap((type) => [
    attentionCase('shared blocks', { type, nHeads: 6, nKvHeads: 2, headDim: 48, ...shared }),
    attentionCase('shared blocks', {
      type,
      nHeads: 4,
      nKvHeads: 1,
      headDim: 20,
      ...shared,
      window: 270,
    }),
    // Too many rows to be split: neighbours together, over a border of blocks.
    attentionCase('prompt in scattered blocks', {
      type,
      nHeads: 4,
      nKvHeads: 2,
      headDim: 34,
      ...shared,
      places: prompt(505, 19, 1),
    }),
  ]),
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
