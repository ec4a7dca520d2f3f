/**
 * Cases of ternary-matmul: the products of 2B-4T, one less and one more than a tile in each direction,
 * single rows and columns, and the largest sums there can be.
 */

import { packBase3, packColumns, packGatedRows, type TernaryOrder } from '../../ternary/index.ts'
import { ternaryByteLength } from '../matrices.ts'
import type { TernaryPacking } from '../storage.ts'
import {
  bitnet2b4t,
  type KernelCase,
  quantizedRows,
  Seeded,
  tokenCounts,
} from '../testing/conformance-cases.ts'
import type { RowRange } from './reference.ts'

interface Shape {
  readonly rows: number
  readonly cols: number
  readonly tokens: number
  readonly packing?: TernaryPacking
  readonly order?: TernaryOrder
  /** Of activations that are 0. */
  readonly zeros?: number
  readonly accumulate?: boolean
  readonly part?: RowRange
  /** One code for all weights. */
  readonly code?: number
  /** One value for all activations. */
  readonly q?: number
}

export function ternaryCase(shape: Shape): KernelCase {
  const { rows, cols, tokens, packing = '2bit', order, accumulate = false, code, q, part } = shape
  const { zeros = 0 } = shape
  const some = part === undefined ? '' : `, ${part.count} rows from ${part.first}`
  const fixed = code === undefined ? '' : `, all weights ${code} and activations ${q}`
  return {
    name: `${packing}${order ? ` ${order}` : ''}, ${rows} x ${cols}, ${tokens} tokens${zeros > 0 ? `, ${zeros} of q 0` : ''}${accumulate ? ', added' : ''}${some}${fixed}`,
    weights: rows * cols,
    create() {
      const seeded = new Seeded(rows * 7 + cols * 3 + tokens)
      const fixedCodes = code === undefined ? undefined : new Int8Array(rows * cols).fill(code)
      const codes = fixedCodes ?? seeded.codes(rows * cols)
      const weights = seeded.ternary(rows, cols, codes)
      const bytes = packed(shape, codes) ?? weights.bytes
      const count = tokens * cols
      const input = q === undefined ? seeded.int8(count) : new Int8Array(count).fill(q)
      for (let i = 0; i < count; i++) if (seeded.below(100) < 100 * zeros) input[i] = 0
      const x = quantizedRows(input, seeded.positive(tokens, 0.1), tokens, cols)
      return {
        contents: {
          data: bytes,
          weightScales: weights.scales,
          q: x.q,
          scales: x.scales,
          sums: x.sums,
          out: seeded.floats(tokens * rows),
        },
        command: (b) => ({
          op: 'ternary-matmul',
          rows: tokens,
          weights: { packing, order, rows, cols, data: b['data'], scales: b['weightScales'] },
          x: { q: b['q'], scales: b['scales'], sums: b['sums'] },
          out: b['out'],
          accumulate,
          part,
        }),
      }
    },
  }
}

/** Unset: 2 bits in stripes. */
function packed({ rows, cols, packing, order }: Shape, codes: Int8Array): Uint8Array | undefined {
  if (packing === 'base3' && order === undefined) return packBase3(codes, rows, cols).bytes
  if (order === undefined) return undefined
  const bytes = new Uint8Array(ternaryByteLength({ packing, order, rows, cols }))
  const matrix = { rows, cols, bytes }
  if (order === 'columns') packColumns(matrix, codes, rows, 0)
  else packGatedRows(matrix, codes, rows, 0, packing)
  return bytes
}

const { dim, ffnDim, qkvRows, gateUpRows } = bitnet2b4t
const edges = [1, 15, 16, 17, 33]

const twoBit: readonly Shape[] = [
  ...edges.flatMap((rows) => edges.map((cols) => ({ rows, cols, tokens: 1 }))),
  ...[2, 3, 17].flatMap((tokens) => [
    { rows: 1, cols: 1, tokens },
    { rows: 15, cols: 17, tokens, accumulate: true },
    { rows: 17, cols: 15, tokens },
    { rows: 47, cols: 2561, tokens, accumulate: true },
  ]),
  ...[4, 5, 6, 7, 8, 9, 15, 16, 31, 64].map((tokens) => ({ rows: 49, cols: 79, tokens })),
  ...tokenCounts.map((tokens) => ({ rows: qkvRows, cols: dim, tokens })),
  { rows: dim, cols: dim, tokens: 1, accumulate: true },
  { rows: gateUpRows, cols: dim, tokens: 1 },
  { rows: dim, cols: ffnDim, tokens: 1, accumulate: true },
  { rows: dim, cols: ffnDim, tokens: 17, accumulate: true },
  ...[1, 2, 9, 17].flatMap((tokens) => [
    { rows: 81, cols: 79, tokens, part: { first: 0, count: 16 } },
    { rows: 81, cols: 79, tokens, part: { first: 16, count: 48 } },
    { rows: 81, cols: 79, tokens, part: { first: 64, count: 17 }, accumulate: true },
    { rows: 81, cols: 79, tokens, part: { first: 32, count: 5 } },
  ]),
  ...[-1, 1].flatMap((code) =>
    [-128, 127].flatMap((q) =>
      [1, 3, 4].map((tokens) => ({ rows: 33, cols: ffnDim, tokens, code, q })),
    ),
  ),
]

const base3: readonly Shape[] = [
  ...[1, 16, 17].flatMap((rows) => [1, 19, 20, 21, 40].map((cols) => ({ rows, cols, tokens: 1 }))),
  ...[2, 5, 8, 13].map((tokens) => ({ rows: 33, cols: 79, tokens, accumulate: true })),
  { rows: qkvRows, cols: dim, tokens: 1 },
  { rows: 81, cols: 79, tokens: 3, part: { first: 48, count: 33 } },
  { rows: dim, cols: ffnDim, tokens: 3 },
  ...[2, 4, 5, 6, 7, 8, 15].map((tokens) => ({ rows: 49, cols: 99, tokens })),
  ...[-1, 1].flatMap((code) =>
    [-128, 127].map((q) => ({ rows: 16, cols: ffnDim, tokens: 1, code, q })),
  ),
].map((shape) => ({ ...shape, packing: 'base3' }))

const columns: readonly Shape[] = [
  ...[1, 17, 255, 256, 257].flatMap((rows) =>
    [1, 3, 16, 79].map((cols) => ({ rows, cols, tokens: 1 })),
  ),
  ...[2, 7, 8, 9, 16, 17, 33].map((tokens) => ({ rows: 300, cols: 77, tokens, accumulate: true })),
  ...[0.5, 0.9, 1].map((zeros) => ({ rows: 272, cols: 515, tokens: 3, zeros })),
  ...[0.5, 0.6, 0.9, 1].map((zeros) => ({ rows: 272, cols: 515, tokens: 35, zeros })),
  ...[64, 128, 129].map((tokens) => ({
    rows: 300,
    cols: 77,
    tokens,
    zeros: 0.8,
    accumulate: true,
  })),
  { rows: dim, cols: ffnDim, tokens: 1, zeros: 0.9, accumulate: true },
  { rows: dim, cols: ffnDim, tokens: 17, zeros: 0.9, accumulate: true },
  ...[-1, 1].flatMap((code) =>
    [-128, 127].flatMap((q) =>
      [1, 9].map((tokens) => ({ rows: 33, cols: ffnDim, tokens, code, q })),
    ),
  ),
].map((shape) => ({ ...shape, order: 'columns' }))

const gated: readonly Shape[] = (['2bit', 'base3'] as const).flatMap((packing) =>
  [1, 9].map((tokens) => ({
    rows: 96,
    cols: 79,
    tokens,
    packing,
    order: 'gated',
    part: { first: 16, count: 32 },
  })),
)

export const cases: readonly KernelCase[] = [...twoBit, ...base3, ...columns, ...gated].map(
  ternaryCase,
)
