import { padToTile } from '../../ternary/index.ts'
import { MAX_COUNT } from '../checker.ts'
import { defineOp } from '../define-op.ts'
import {
  type BlockTable,
  blockTable,
  cacheInputs,
  checkHeads,
  type LayerCache,
  layerCache,
  qkvCount,
} from '../matrices.ts'
import { floats, WORD } from '../operand-kinds.ts'
import type { BufferSlice } from '../slice.ts'
import { stepRows } from '../step.ts'
import { ATTENTION_CHUNK, INT4_GROUP, MAX_HEAD_DIM } from './layout.ts'
import { attention as reference } from './reference.ts'

/**
 * Causal grouped-query attention over the cache: out (rows, nHeads * headDim). Queries are read from
 * qkv's rows as rope-cache left them.
 */
export interface AttentionCommand {
  readonly op: 'attention'
  readonly rows: number
  readonly nHeads: number
  readonly step: BufferSlice
  readonly qkv: BufferSlice
  readonly cache: LayerCache
  readonly table: BlockTable
  readonly out: BufferSlice
  /** Positions that a row attends to, its own included. Unset: all. */
  readonly window?: number | undefined
}

/** More rows than this keep all threads busy without splitting a row's positions. */
const MAX_SPLIT_ROWS = 8

/** Chunks of positions that a row's partial results have room for; 0 where rows are not split. */
function partialChunks({ rows, table }: AttentionCommand): number {
  return rows <= MAX_SPLIT_ROWS && table.columns > 1 ? table.columns : 0
}

export const attention = defineOp<AttentionCommand>()({
  name: 'attention',
  operands: {
    step: stepRows(),
    qkv: floats(qkvCount),
    cache: layerCache('read'),
    table: blockTable(),
    out: floats((c) => c.rows * c.nHeads * c.cache.headDim, 'write'),
  },
  counts: { window: MAX_COUNT },
  check: checkHeads,
  integers: {
    nHeads: (c) => c.nHeads,
    chunks: partialChunks,
    window: ({ window = 0 }) => window,
  },
  floats: { scale: (c) => 1 / Math.sqrt(c.cache.headDim) },
  indices: (c) => cacheInputs(c),
  scratch: (c) => partialChunks(c) * c.rows * c.nHeads * (padToTile(c.cache.headDim) + 16) * WORD,
  reference: (m, c) =>
    reference(m.out, m.qkv, m.cache, m.table, m.step, c.rows, c.nHeads, c.window),
  agreement: 'exact',
  nearly: { out: { within: () => ({ ofLargest: 1e-3 }) } },
  workgroups: ({ rows, nHeads }) => [nHeads, rows],
  constants: { ATTENTION_CHUNK, INT4_GROUP, MAX_HEAD_DIM },
})
