/** The groups of slices that several operations take: how each is checked, bound and handed over. */
import {
  base3ByteLength,
  columnsByteLength,
  gatedByteLength,
  type PackedTernary,
  packedByteLength,
  padToTile,
  TERNARY_ORDERS,
  type TernaryOrder,
  TILE,
} from '../ternary/index.ts'
import type { CacheMemory, TableMemory } from './attention/cache-codec.ts'
import {
  ATTENTION_CHUNK,
  keyCacheByteLength,
  MAX_HEAD_DIM,
  valueCacheByteLength,
} from './attention/layout.ts'
import { type Checker, MAX_COLS } from './checker.ts'
import { denseByteLength, hasRowScales, type PackedDense } from './dense-matmul/layout.ts'
import { MAX_INT8_COLS } from './dense-matmul/reference.ts'
import { MAX_HEAD_COLS } from './head-matmul/reference.ts'
import type { IndexColumn } from './index-buffer.ts'
import {
  type Access,
  floatsOf,
  type OperandKind,
  type Part,
  WORD,
  wordsOf,
} from './operand-kinds.ts'
import type { QuantizedRows } from './quantize/reference.ts'
import type { BufferSlice } from './slice.ts'
import { stepInput } from './step.ts'
import type { StepInput } from './step-inputs.ts'
import {
  CACHE_TYPES,
  type CacheType,
  DENSE_TYPES,
  type DenseType,
  TERNARY_PACKINGS,
  type TernaryPacking,
} from './storage.ts'
import type { TernaryWeights } from './ternary-matmul/reference.ts'

/** A dense matrix (rows, cols) in stripes of 16 rows. */
export interface DenseMatrix {
  readonly type: DenseType
  readonly rows: number
  readonly cols: number
  readonly data: BufferSlice
  /** Only for int8 and int4: one float32 a padded row. */
  readonly scales: BufferSlice | undefined
}

/** A ternary matrix (rows, cols), with one float32 scale a padded row. */
export interface TernaryMatrix {
  /** Unset: 2bit. */
  readonly packing?: TernaryPacking | undefined
  /** Unset: stripes; see ternary/orders.ts for the others. */
  readonly order?: TernaryOrder | undefined
  readonly rows: number
  readonly cols: number
  readonly data: BufferSlice
  readonly scales: BufferSlice
}

/** int8 activations: q (rows, padded cols), one scale (float32) and one sum of q (int32) a token. */
export interface QuantizedBuffer {
  readonly q: BufferSlice
  readonly scales: BufferSlice
  readonly sums: BufferSlice
}

/** The KV cache of one layer, blocks of 256 positions; see attention/layout.ts. */
export interface LayerCache {
  /** Unset: f16. */
  readonly type?: CacheType
  readonly keys: BufferSlice
  readonly values: BufferSlice
  readonly blocks: number
  readonly nKvHeads: number
  readonly headDim: number
}

/**
 * Where sequences are in a cache: (slots, columns) numbers of blocks, in a buffer of indices. Block i of a
 * sequence has its positions from 256 i on. Several sequences may share a block that none of them writes to.
 */
export interface BlockTable {
  readonly data: BufferSlice
  /** Sequences. */
  readonly slots: number
  /** Blocks that a sequence may have. */
  readonly columns: number
}

/** Integer sums of a row must stay within int32. */
const MAX_DENSE_COLS: Record<DenseType, number> = {
  f32: MAX_COLS,
  f16: MAX_COLS,
  int8: MAX_INT8_COLS,
  int4: MAX_HEAD_COLS,
}

/** A dense matrix of one of `types`. */
export function dense<C>(
  types: readonly DenseType[] = DENSE_TYPES,
  access: Access = 'read',
): OperandKind<C, DenseMatrix, PackedDense> {
  return {
    access,
    parts: [
      {
        name: 'data',
        element: 'uint8_t',
        byteLength: ({ type, rows, cols }) => denseByteLength(type, rows, cols),
      },
      {
        name: 'scales',
        element: 'float',
        byteLength: ({ rows }) => padToTile(rows) * WORD,
      },
    ],
    integers: {
      rows: ({ rows }) => rows,
      cols: ({ cols }) => cols,
      type: ({ type }) => DENSE_TYPES.indexOf(type),
    },
    check(check, name, { type, rows, cols, scales }) {
      check.oneOf(`${name}.type`, type, types)
      check.count(`${name}.rows`, rows)
      check.count(`${name}.cols`, cols, MAX_DENSE_COLS[type])
      if (hasRowScales(type) && scales === undefined) {
        check.fail(`${name}.scales`, `a buffer for ${type}`, undefined)
      }
    },
    view: ({ type, rows, cols, data, scales }, memory) => ({
      type,
      rows,
      cols,
      data: memory(data),
      scales: scales && floatsOf(scales, memory),
    }),
  }
}

/**
 * Some kernels leave codes at 64 times their worth until the end of a row: 128 * 128 * cols / 4 must
 * stay below 2^31.
 */
const MAX_TERNARY_COLS = 2 ** 19 - 1

/** Of other orders than stripes: working copies of a stripe lie on the stack while many tokens are multiplied. */
export const MAX_ORDERED_COLS = 16_384

/** Bytes of a ternary matrix's data. */
export function ternaryByteLength(matrix: Omit<TernaryMatrix, 'data' | 'scales'>): number {
  const { packing = '2bit', order, rows, cols } = matrix
  if (order === 'columns') return columnsByteLength(rows, cols)
  if (order === 'gated') return gatedByteLength(rows, cols, packing)
  return packing === 'base3' ? base3ByteLength(rows, cols) : packedByteLength(rows, cols)
}

/** The codes of a ternary matrix, without its scales. */
export function ternaryCodes<C>(
  access: Access = 'read',
): OperandKind<C, TernaryMatrix, PackedTernary> {
  return {
    access,
    parts: [
      {
        name: 'data',
        element: 'uint8_t',
        byteLength: (matrix) => ternaryByteLength(matrix),
      },
    ],
    integers: {
      rows: ({ rows }) => rows,
      cols: ({ cols }) => cols,
      packing: ({ packing = '2bit' }) => TERNARY_PACKINGS.indexOf(packing),
      order: ({ order = 'stripes' }) => TERNARY_ORDERS.indexOf(order),
    },
    check(check, name, { packing = '2bit', order = 'stripes', rows, cols }) {
      check.oneOf(`${name}.packing`, packing, TERNARY_PACKINGS)
      check.oneOf(`${name}.order`, order, TERNARY_ORDERS)
      if (order === 'gated' && rows % (2 * TILE) !== 0) {
        check.fail(`${name}.rows`, `a multiple of ${2 * TILE} for gated rows`, rows)
      }
      if (order === 'columns' && packing !== '2bit') {
        check.fail(`${name}.packing`, '2bit for columns', packing)
      }
      check.count(`${name}.rows`, rows)
      check.count(`${name}.cols`, cols, order === 'stripes' ? MAX_TERNARY_COLS : MAX_ORDERED_COLS)
    },
    view: ({ rows, cols, data }, memory) => ({ rows, cols, bytes: memory(data) }),
  }
}

export function ternary<C>(access: Access = 'read'): OperandKind<C, TernaryMatrix, TernaryWeights> {
  const codes = ternaryCodes<C>(access)
  const scales: Part<C, TernaryMatrix> = {
    name: 'scales',
    element: 'float',
    byteLength: ({ rows }) => padToTile(rows) * WORD,
  }
  return {
    ...codes,
    parts: [...codes.parts, scales],
    view: (matrix, memory) => ({
      ...codes.view(matrix, memory),
      packing: matrix.packing,
      order: matrix.order,
      scales: floatsOf(matrix.scales, memory),
    }),
  }
}

/** @param cols of each of the command's rows */
export function quantized<C extends { readonly rows: number }>(
  cols: (command: C) => number,
  access: Access = 'read',
): OperandKind<C, QuantizedBuffer, QuantizedRows> {
  const perRow = (_: QuantizedBuffer, { rows }: C) => rows * WORD
  return {
    access,
    parts: [
      {
        name: 'q',
        element: 'int8_t',
        byteLength: (_, c) => c.rows * padToTile(cols(c)),
      },
      { name: 'scales', element: 'float', byteLength: perRow },
      { name: 'sums', element: 'int32_t', byteLength: perRow },
    ],
    view(x, memory) {
      const q = memory(x.q)
      return {
        q: new Int8Array(q.buffer, q.byteOffset, q.byteLength),
        scales: floatsOf(x.scales, memory),
        sums: wordsOf(x.sums, memory),
      }
    },
  }
}

export function layerCache<C>(access: Access): OperandKind<C, LayerCache, CacheMemory> {
  return {
    access,
    parts: [
      {
        name: 'keys',
        element: 'uint8_t',
        byteLength: (layer) => keyCacheByteLength(layer),
      },
      {
        name: 'values',
        element: 'uint8_t',
        byteLength: (layer) => valueCacheByteLength(layer),
      },
    ],
    integers: {
      type: ({ type = 'f16' }) => CACHE_TYPES.indexOf(type),
      nKvHeads: ({ nKvHeads }) => nKvHeads,
      headDim: ({ headDim }) => headDim,
    },
    check(check, name, { type = 'f16', blocks, nKvHeads, headDim }) {
      check.oneOf(`${name}.type`, type, CACHE_TYPES)
      check.count(`${name}.blocks`, blocks)
      check.count(`${name}.nKvHeads`, nKvHeads)
      check.count(`${name}.headDim`, headDim, MAX_HEAD_DIM)
      if (headDim % 2 !== 0) check.fail(`${name}.headDim`, 'even', headDim)
    },
    view: (layer, memory) => ({
      ...layer,
      keys: memory(layer.keys),
      values: memory(layer.values),
    }),
  }
}

/** Positions are int32 in the kernels. */
const MAX_COLUMNS = 2 ** 31 / ATTENTION_CHUNK

export function blockTable<C>(): OperandKind<C, BlockTable, TableMemory> {
  return {
    access: 'read',
    parts: [
      {
        name: 'data',
        element: 'int32_t',
        byteLength: ({ slots, columns }) => slots * columns * WORD,
      },
    ],
    integers: { columns: ({ columns }) => columns },
    check(check, name, { slots, columns }) {
      check.count(`${name}.slots`, slots)
      check.count(`${name}.columns`, columns, MAX_COLUMNS)
    },
    view: ({ data, columns }, memory) => ({ blocks: wordsOf(data, memory), columns }),
  }
}

/** The columns of a table's buffer, which has a row for each block of each sequence. */
export function blockColumns(blocks: number): IndexColumn[] {
  return [{ name: 'block', limit: blocks }]
}

/** Operations with queries beside a cache: each key head serves as many query heads. */
interface WithHeads {
  readonly rows: number
  readonly nHeads: number
  readonly step: BufferSlice
  readonly cache: LayerCache
  readonly table: BlockTable
}

/** What picks places in the cache: a row's sequence and its position, below `limit`, and blocks. */
export function cacheInputs(command: WithHeads, limit = Infinity): StepInput[] {
  const { cache, table } = command
  const positions = Math.min(table.columns * ATTENTION_CHUNK, limit)
  return [
    stepInput('slot', command, table.slots),
    stepInput('position', command, positions),
    { slice: table.data, name: 'block', stride: 1, offset: 0, limit: cache.blocks },
  ]
}

/** Elements of qkv (rows, (nHeads + 2 nKvHeads) * headDim). */
export function qkvCount({ rows, nHeads, cache }: Omit<WithHeads, 'step' | 'table'>): number {
  return rows * (nHeads + 2 * cache.nKvHeads) * cache.headDim
}

export function checkHeads(
  check: Checker,
  { nHeads, cache }: Pick<WithHeads, 'nHeads' | 'cache'>,
): void {
  check.count('nHeads', nHeads)
  if (nHeads % cache.nKvHeads !== 0) {
    check.fail('nHeads', `a multiple of nKvHeads (${cache.nKvHeads})`, nHeads)
  }
}
