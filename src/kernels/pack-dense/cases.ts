/**
 * Cases of pack-dense: every type of matrix and of values, pieces within a stripe, rows of zeros, rows
 * that are not finite, and values that overflow f16.
 */

import { padToTile } from '../../ternary/index.ts'
import { denseByteLength } from '../dense-matmul/layout.ts'
import { float16ToFloat32, float32ToFloat16 } from '../float16.ts'
import type { DenseType, ValuesType } from '../storage.ts'
import { bitnet2b4t, type KernelCase, Seeded } from '../testing/conformance-cases.ts'

interface Piece {
  readonly type: DenseType
  readonly matrixRows: number
  readonly cols: number
  readonly firstRow: number
  readonly rows: number
  /** How the values are stored; unset: f32. */
  readonly valuesType?: ValuesType
}

function randomValues({ rows, cols }: Piece): Float32Array {
  const values = new Seeded(37).floats(rows * cols, 3)
  // Rounding edges, an overflow of f16, values below its normal range, and a vanishing row.
  values.set([70000, 2 ** -15, -(2 ** -25), 2049 / 2048].slice(0, values.length))
  if (rows > 2) values.fill(0, cols, 2 * cols)
  if (rows > 3) values.fill(1e-41, 2 * cols, 3 * cols)
  return values
}

/** As random values, with an infinity in the second row and, for int8 and int4, a NaN in the third. */
function unboundedValues(piece: Piece): Float32Array {
  const values = randomValues(piece)
  values[piece.cols + 2] = -Infinity
  // Other types keep some NaN, but not the same bits everywhere.
  if (piece.type === 'int8' || piece.type === 'int4') values[3 * piece.cols - 1] = Number.NaN
  return values
}

function encodeValues(values: Float32Array, type: ValuesType): Float32Array | Uint16Array {
  if (type === 'f32') return values
  if (type === 'f16') return Uint16Array.from(values, float32ToFloat16)
  return Uint16Array.from(new Uint32Array(values.buffer), (bits) => bits >>> 16)
}

/** Finite halves without their sign: their bits are 0 to 0x7bff. */
const HALVES = 0x7c00

/** Every finite half, the tie between it and the next one, and the floats beside that tie. */
function roundingEdges(): Float32Array {
  const values = new Float32Array(4 * HALVES)
  const words = new Int32Array(values.buffer)
  for (let half = 0; half < HALVES; half++) {
    const low = float16ToFloat32(half)
    const high = half + 1 < HALVES ? float16ToFloat32(half + 1) : 65536
    const at = 4 * half
    values.fill((low + high) / 2, at, at + 4)
    values[at] = low
    words[at + 1] -= 1
    words[at + 2] += 1
    if (half & 2) for (let i = 0; i < 4; i++) values[at + i] = -values[at + i]
  }
  values.set([Number.NaN, Infinity, -Infinity], 100)
  return values
}

function packCase(name: string, piece: Piece, makeValues = randomValues): KernelCase {
  const { type, matrixRows, cols, firstRow, rows, valuesType = 'f32' } = piece
  return {
    name: `${type} from ${valuesType} ${name}, rows ${firstRow} to ${firstRow + rows - 1} of ${matrixRows} x ${cols}`,
    create() {
      const values = encodeValues(makeValues(piece), valuesType)
      return {
        contents: {
          values,
          data: new Uint8Array(denseByteLength(type, matrixRows, cols)).fill(0xee),
          scales: new Float32Array(padToTile(matrixRows)).fill(9),
        },
        command: ({ values, data, scales }) => ({
          op: 'pack-dense',
          rows,
          firstRow,
          values,
          valuesType,
          out: { type, rows: matrixRows, cols, data, scales },
        }),
      }
    },
  }
}

const types = ['f32', 'f16', 'int8', 'int4'] as const

export const cases: readonly KernelCase[] = [
  ...types.flatMap((type) =>
    [
      { type, matrixRows: 1, cols: 1, firstRow: 0, rows: 1 },
      { type, matrixRows: 17, cols: 5, firstRow: 0, rows: 17 },
      { type, matrixRows: 40, cols: 33, firstRow: 5, rows: 3 },
      { type, matrixRows: 40, cols: 31, firstRow: 30, rows: 10 },
      { type, matrixRows: 64, cols: bitnet2b4t.dim, firstRow: 16, rows: 48 },
    ].map((piece) => packCase('random', piece)),
  ),
  ...types.flatMap((type) =>
    (['f16', 'bf16'] as const).flatMap((valuesType) => [
      packCase('random', { type, matrixRows: 40, cols: 37, firstRow: 5, rows: 35, valuesType }),
      packCase('random', { type, matrixRows: 16, cols: 2561, firstRow: 0, rows: 5, valuesType }),
    ]),
  ),
  ...(['int8', 'int4'] as const).flatMap((type) =>
    (['f32', 'f16', 'bf16'] as const).map((valuesType) =>
      packCase(
        'unbounded',
        { type, matrixRows: 20, cols: 21, firstRow: 0, rows: 20, valuesType },
        unboundedValues,
      ),
    ),
  ),
  packCase(
    'rounding edges',
    { type: 'f16', matrixRows: 16, cols: HALVES / 4, firstRow: 0, rows: 16 },
    roundingEdges,
  ),
]
