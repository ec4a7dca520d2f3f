/**
 * How attention runs on a GPU: a block of positions in each workgroup for few rows, whose parts are then put
 * together, and tiles of rows for many.
 */

import type { Access } from '../../kernels/operand-kinds.ts'
import { CACHE_TYPES, type CacheType } from '../../kernels/storage.ts'
import { type Binding, bindingOf, type Job, jobOf } from './jobs.ts'
import { operandOf, type Valid } from './neighbours.ts'
import { type Powers, quantizeShading, threadsOf } from './tuned.ts'

/** Rows of a tile: with 16 a prompt took 1.6 times as long, since fewer tiles have too little on their way. */
const TILE = 8

/** Rows from which tiles of them share what they read of the cache. */
const TILE_ROWS = 65

/** Bytes of all parts that a list may take. */
const MAX_PARTS = 2 ** 28

/** Workgroups of a dispatch that run all at once on a large GPU, and those that are enough for any. */
const MUCH_GROUPS = 128
const ENOUGH_GROUPS = 160

/** Threads of split-attention.wgsl that have something to do. */
const MOST_THREADS = 512

/** Threads of merge-attention.wgsl. */
const MERGE_THREADS = 32

/** Types whose elements shaders other than base.wgsl read. */
function isFloat(type: CacheType): boolean {
  return type === 'f16' || type === 'f32'
}

/** Attention by tiles of rows; undefined for few rows, or where only base.wgsl fits. */
export function rowsJob(attention: Valid<'attention'>, powers: Powers): Job | undefined {
  const { rows, nHeads, cache } = attention.command
  const { headDim, type = 'f16' } = cache
  if (!isFloat(type) || headDim % 32 !== 0) return undefined
  if (rows < TILE_ROWS && partBytes(attention) <= MAX_PARTS) return undefined
  if (tileBytes(TILE, headDim) > powers.workgroupBytes) return undefined
  return jobOf(attention, {
    shader: 'attention/tiles',
    constants: { DIM: headDim, TYPE: CACHE_TYPES.indexOf(type), ROWS: TILE },
    workgroups: [nHeads, Math.ceil(rows / TILE)],
  })
}

/**
 * Attention by blocks of positions, to its result if a sequence is one block and to its parts if not.
 *
 * @param turning what turns queries and keys first; undefined if that is done
 * @returns undefined where base.wgsl has to do
 */
export function attendJob(
  attention: Valid<'attention'>,
  { threads, workgroupBytes }: Powers,
  turning?: Valid<'rope-cache'>,
): Job | undefined {
  const { rows, nHeads, cache, table, window = 0 } = attention.command
  const { headDim, type = 'f16', nKvHeads } = cache
  if (!isFloat(type) || headDim % 32 !== 0) return undefined
  if (partBytes(attention) > MAX_PARTS) return undefined
  const isAhead = threads >= MOST_THREADS && type === 'f16' && headDim <= 128
  const isRoomFor = (count: number) => {
    return (nHeads / nKvHeads) % count === 0 && splitBytes(count, headDim) <= workgroupBytes
  }
  // Four share what they read where there are workgroups enough without so many.
  const isMuch = (nHeads / 2) * rows >= MUCH_GROUPS
  const heads = [isMuch ? 4 : 2, 2, 1].find(isRoomFor) ?? 1
  const groups = (nHeads / heads) * rows
  const lanes = lanesOf(groups, table.columns)
  const written = (name: string): Binding | undefined => {
    const own = bindingOf(operandOf(attention, name))
    return own && { ...own, access: 'update' }
  }
  return {
    shader: 'split-attention',
    constants: {
      THREADS: threads >= MOST_THREADS ? MOST_THREADS : 256,
      DIM: headDim,
      TYPE: CACHE_TYPES.indexOf(type),
      IS_WHOLE: Number(isWhole(attention)),
      IS_TURNED: Number(turning !== undefined),
      HEADS: heads,
      IS_AHEAD: Number(isAhead),
      LANES: lanes < table.columns ? lanes : 0,
    },
    integers: [nKvHeads, table.columns, nHeads, window],
    floats: [1 / Math.sqrt(headDim)],
    bindings: [
      bindingOf(operandOf(attention, 'step')),
      bindingOf(operandOf(attention, 'qkv')),
      turning && bindingOf(operandOf(turning, 'rotations')),
      bindingOf(operandOf(attention, 'table.data')),
      written('cache.keys'),
      written('cache.values'),
      isWhole(attention) ? bindingOf(operandOf(attention, 'out')) : undefined,
      isWhole(attention) ? undefined : partsOf(attention, 'write'),
    ],
    written: [false, false, false, false, true, true, true, true],
    workgroups: [(nHeads / heads) * lanes, rows],
    isFixed: true,
  }
}

/** Puts parts together; undefined where there are none. */
export function mergeJob(attention: Valid<'attention'>): Job | undefined {
  if (isWhole(attention)) return undefined
  const { rows, nHeads, cache, table, window = 0 } = attention.command
  return {
    shader: 'merge-attention',
    constants: { DIM: cache.headDim },
    integers: [table.columns, nHeads, window],
    floats: [],
    bindings: [
      bindingOf(operandOf(attention, 'step')),
      partsOf(attention, 'read'),
      bindingOf(operandOf(attention, 'out')),
    ],
    written: [false, false, true],
    workgroups: [Math.ceil((nHeads * cache.headDim) / 4 / MERGE_THREADS), rows],
    isFixed: true,
  }
}

/** mergeJob and the norm and int8 integers of what it gives; undefined where rows are no whole vectors. */
export function mergedQuantize(
  attention: Valid<'attention'>,
  quantize: Valid<'quantize'>,
  powers: Powers,
): Job | undefined {
  const { nHeads, cache, table, window = 0 } = attention.command
  const { rows, cols, eps } = quantize.command
  const shading = quantizeShading(quantize.command, powers)
  const isSameRows = rows === attention.command.rows && cols === nHeads * cache.headDim
  if (shading === undefined || !isSameRows) return undefined
  const bound = (name: string) => bindingOf(operandOf(quantize, name))
  return {
    shader: 'merge-quantize',
    // A vector for each invocation: it takes some work to put together.
    constants: {
      ...shading.constants,
      THREADS: threadsOf(cols, 1, powers),
      DIM: cache.headDim,
    },
    integers: [table.columns, nHeads, window],
    floats: [eps],
    bindings: [
      bindingOf(operandOf(attention, 'step')),
      partsOf(attention, 'read'),
      bound('weight'),
      bound('out.q'),
      bound('out.scales'),
      bound('out.sums'),
    ],
    written: [false, false, false, true, true, true],
    workgroups: [rows, 1],
    isFixed: true,
  }
}

/** Where the blocks' parts lie; lists of one attention after another need them only once. */
export function partsOf(attention: Valid<'attention'>, access: Access): Binding {
  return { memory: { scratch: 'attention', byteLength: partBytes(attention) }, access }
}

/** Whether a sequence is one block, so that nothing has to be put together. */
function isWhole({ command }: Valid<'attention'>): boolean {
  return command.table.columns === 1
}

function partBytes({ command }: Valid<'attention'>): number {
  const { rows, nHeads, table, cache } = command
  return rows * nHeads * table.columns * (cache.headDim + 4) * 4
}

/**
 * Blocks of a row that have a workgroup of their own. Most tables have far more columns than sequences have blocks, and a
 * workgroup that finds nothing to do still costs: many rows fill a GPU with fewer.
 */
function lanesOf(groups: number, columns: number): number {
  return Math.min(columns, Math.max(1, Math.ceil(ENOUGH_GROUPS / groups)))
}

/** Of workgroup memory, what split-attention.wgsl has for so many heads. */
function splitBytes(heads: number, headDim: number): number {
  return heads * (headDim * 4 + 1024 + 128 + Math.max(512, headDim * 4) * 8 + 8) + headDim * 8 + 256
}

/** Of workgroup memory: queries, weights of a block, sums of groups, and what is kept of each row. */
function tileBytes(rows: number, headDim: number): number {
  return rows * 4 * (headDim + 256 + 32 + 8) + 256
}
