import { keyCacheByteLength, valueCacheByteLength } from '../attention/layout.ts'
import { defineOp } from '../define-op.ts'
import { type LayerCache, layerCache } from '../matrices.ts'
import { WORD, words } from '../operand-kinds.ts'
import type { BufferSlice } from '../slice.ts'
import { PAIR_WORDS, copyBlocks as reference } from './reference.ts'

/**
 * Copies whole blocks of a layer's cache: pairs (rows, 2) int32, from and to. No block is copied to that is
 * copied from.
 */
export interface CopyBlocksCommand {
  readonly op: 'copy-blocks'
  readonly rows: number
  readonly pairs: BufferSlice
  readonly cache: LayerCache
}

export const copyBlocks = defineOp<CopyBlocksCommand>()({
  name: 'copy-blocks',
  operands: {
    pairs: words((c) => c.rows * PAIR_WORDS),
    cache: layerCache('update'),
  },
  integers: {
    keyWords: ({ cache }) => keyCacheByteLength({ ...cache, blocks: 1 }) / WORD,
    valueWords: ({ cache }) => valueCacheByteLength({ ...cache, blocks: 1 }) / WORD,
  },
  indices: ({ pairs, cache: { blocks: limit } }) =>
    ['copied block', 'block copied to'].map((name, offset) => ({
      slice: pairs,
      name,
      stride: PAIR_WORDS,
      offset,
      limit,
    })),
  reference: (m, c) => reference(m.cache, m.pairs, c.rows),
  agreement: 'exact',
  workgroups: ({ rows }) => [64, rows],
})
