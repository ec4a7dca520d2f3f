/**
 * Keys and values as bytes that leave the cache: of each layer, first keys, then values; of each block that is
 * looked at behind the last position, in order, what its positions take, and nothing behind them.
 */
import {
  ATTENTION_CHUNK,
  type CacheShape,
  keyCacheByteLength,
  positionRuns,
  valueCacheByteLength,
} from '../../kernels/attention/layout.ts'
import type { CacheType } from '../../kernels/storage.ts'
import type { ModelConfig } from '../config/config.ts'
import type { CacheContent } from '../engine.ts'
import { type BlockGroup, blocksOf } from './block-group.ts'

export const PARTS = ['keys', 'values'] as const
export type CachePart = (typeof PARTS)[number]

export function contentOf(config: ModelConfig, type: CacheType): CacheContent {
  const { nLayers, nKvHeads, headDim, localAttention: local } = config
  const window = local && { positions: local.window, layers: local.layers }
  return { type, nLayers, nKvHeads, headDim, ...(window && { window }) }
}

/** Bytes of a part of a layer in a block. */
export function partBytes(shape: CacheShape, part: CachePart): number {
  const block = { ...shape, blocks: 1 }
  return part === 'keys' ? keyCacheByteLength(block) : valueCacheByteLength(block)
}

/** A block whose first positions are copied. */
export interface CopiedBlock {
  readonly layer: number
  readonly part: CachePart
  /** Its place in the sequence. */
  readonly index: number
  readonly positions: number
  /** Where its bytes are in the copy, and how many there are. */
  readonly byteOffset: number
  readonly byteLength: number
}

/** What a copy of so many positions consists of, in the order of its bytes. */
export function copiedBlocks(
  shape: CacheShape,
  groupOf: readonly number[],
  groups: readonly BlockGroup[],
  positions: number,
): readonly CopiedBlock[] {
  const blocks: CopiedBlock[] = []
  let byteOffset = 0
  for (const [layer, group] of groupOf.entries()) {
    for (const part of PARTS) {
      for (let i = groups[group].firstSeen(positions); i < blocksOf(positions); i++) {
        const own = Math.min(positions - i * ATTENTION_CHUNK, ATTENTION_CHUNK)
        const byteLength = (partBytes(shape, part) / ATTENTION_CHUNK) * own
        blocks.push({ layer, part, index: i, positions: own, byteOffset, byteLength })
        byteOffset += byteLength
      }
    }
  }
  return blocks
}

/** Copies the first positions of a block into `packed`, or back: what is behind them stays. */
export function copyPositions(
  shape: CacheShape,
  { part, positions, byteOffset }: CopiedBlock,
  block: Uint8Array,
  packed: Uint8Array,
  direction: 'out' | 'in',
): void {
  let at = byteOffset
  let from = 0
  for (let head = 0; head < shape.nKvHeads; head++) {
    for (const run of positionRuns(shape, part)) {
      const length = (run / ATTENTION_CHUNK) * positions
      if (direction === 'out') packed.set(block.subarray(from, from + length), at)
      else block.set(packed.subarray(at, at + length), from)
      at += length
      from += run
    }
  }
}
