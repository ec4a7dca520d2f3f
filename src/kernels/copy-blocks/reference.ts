/** Copies blocks of a layer's cache, bit for bit: what a sequence shares is copied before it writes there. */
import type { CacheMemory } from '../attention/cache-codec.ts'
import { keyCacheByteLength, valueCacheByteLength } from '../attention/layout.ts'
import type { IndexColumn } from '../index-buffer.ts'

/** Words of a pair: from, to. */
export const PAIR_WORDS = 2

/** The columns of a buffer of pairs. */
export function blockPairColumns(blocks: number): IndexColumn[] {
  return [
    { name: 'copied block', limit: blocks },
    { name: 'block copied to', limit: blocks },
  ]
}

/** @param pairs (rows, 2): from, to */
export function copyBlocks(cache: CacheMemory, pairs: Int32Array, rows: number): void {
  const one = { ...cache, blocks: 1 }
  for (const [memory, bytes] of [
    [cache.keys, keyCacheByteLength(one)],
    [cache.values, valueCacheByteLength(one)],
  ] as const) {
    for (let row = 0; row < rows; row++) {
      const [from, to] = pairs.subarray(row * PAIR_WORDS)
      memory.copyWithin(to * bytes, from * bytes, (from + 1) * bytes)
    }
  }
}
