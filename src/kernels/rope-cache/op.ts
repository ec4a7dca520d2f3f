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
import { floats, floatsOf, type OperandKind, type Part, WORD } from '../operand-kinds.ts'
import type { BufferSlice } from '../slice.ts'
import { stepRows } from '../step.ts'
import { type HeadNormWeights, ropeCache as reference } from './reference.ts'

/** Weights (headDim) of the norms of query and key heads. */
export interface HeadNorms {
  readonly query: BufferSlice
  readonly key: BufferSlice
  readonly eps: number
}

/**
 * Rotary embedding and cache write. qkv (rows, (nHeads + 2 nKvHeads) * headDim): queries are rotated
 * in place, rotated keys and values go to the cache, rounded to its type.
 */
export interface RopeCacheCommand {
  readonly op: 'rope-cache'
  readonly rows: number
  readonly nHeads: number
  readonly step: BufferSlice
  readonly qkv: BufferSlice
  /** cos then sin, (positions, 2, headDim / 2). */
  readonly rotations: BufferSlice
  readonly cache: LayerCache
  readonly table: BlockTable
  /** RMSNorm of each head before it is rotated. Unset: none. */
  readonly headNorms?: HeadNorms | undefined
}

function normPart(name: 'query' | 'key'): Part<RopeCacheCommand, HeadNorms> {
  return {
    name,
    element: 'float',
    byteLength: (_, { cache }) => cache.headDim * WORD,
  }
}

const headNorms: OperandKind<RopeCacheCommand, HeadNorms, HeadNormWeights> = {
  access: 'read',
  parts: [normPart('query'), normPart('key')],
  floats: { eps: ({ eps }) => eps },
  check: (check, name, { eps }) => check.eps(`${name}.eps`, eps),
  view: ({ query, key, eps }, memory) => ({
    query: floatsOf(query, memory),
    key: floatsOf(key, memory),
    eps,
  }),
}

export const ropeCache = defineOp<RopeCacheCommand>()({
  name: 'rope-cache',
  operands: {
    step: stepRows(),
    headNorms,
    // At least one position; which ones are read depends on `step`.
    rotations: floats((c) => c.cache.headDim),
    qkv: floats(qkvCount, 'update'),
    table: blockTable(),
    cache: layerCache('update'),
  },
  check: checkHeads,
  integers: { nHeads: (c) => c.nHeads },
  indices(c) {
    return cacheInputs(c, Math.floor(c.rotations.byteLength / (c.cache.headDim * WORD)))
  },
  reference(m, c) {
    reference(m.qkv, m.cache, m.table, m.step, m.rotations, c.rows, c.nHeads, m.headNorms)
  },
  agreement: 'exact',
  nearly: {
    qkv: { within: () => ({ ofLargest: 1e-6 }) },
    // Codes, and halves by their bits, may be the next ones.
    cache: {
      within: ({ cache }) => (cache.type === 'f32' ? { ofLargest: 1e-6 } : { absolute: 1 }),
    },
  },
  workgroups: ({ rows, nHeads, cache }) => [nHeads + 2 * cache.nKvHeads, rows],
})
