/**
 * BitLinear's product: out (tokens, rows) = (W q) * (token scale * row scale), added to out if asked.
 *
 *   W (rows, cols) ternary in the layout of ternary/pack.ts · q (tokens, padded cols) int8
 *
 * Codes are w + 1, so code * q is summed and the token's sum of q taken off at the end. The dot
 * product is exact: |code * q| <= 256, so int32 holds rows of up to 8 million columns.
 *
 * A byte of a tile holds the codes of four columns (five in the 1.6-bit packing), so for each byte
 * column the sums of all its values are tabled once a token, and a row then costs one look-up for them.
 */
import {
  BASE3_TILE,
  inStripes,
  type PackedTernary,
  padToTile,
  type TernaryOrder,
  TILE,
} from '../../ternary/index.ts'
import type { QuantizedRows } from '../quantize/reference.ts'
import type { TernaryPacking } from '../storage.ts'

const f = Math.fround

/** A packed matrix with its scales. */
export interface TernaryWeights extends PackedTernary {
  /** Unset: 2bit. */
  readonly packing?: TernaryPacking | undefined
  /** Unset: stripes. */
  readonly order?: TernaryOrder | undefined
  /** One a padded row. */
  readonly scales: Float32Array
}

/** Rows [first, first + count) of a matrix. */
export interface RowRange {
  readonly first: number
  readonly count: number
}

/** A lane's bytes in a tile, each with the codes of every fourth column. */
const BYTES_OF_LANE = 4
/** Sums that are kept for a byte, whether or not all 256 values occur. */
const TABLE = 256

/** Columns of a tile, and what a code counts to: codes per byte are the columns over four. */
const PACKINGS = {
  '2bit': { tileCols: TILE, base: 4 },
  base3: { tileCols: BASE3_TILE, base: 3 },
}

/**
 * tables[(4 t + j) * 256 + byte] = sum of code * q over the columns tileCols * t + {j, 4 + j, 8 + j, ...}.
 * At most 5 * 3 * 128 in magnitude, so int16 holds it. Columns past the end of q count nothing.
 */
function fillTables(tables: Int16Array, q: Int8Array, tileCols: number, base: number): void {
  for (let tile = 0, at = 0; tile < q.length; tile += tileCols) {
    for (let j = 0; j < BYTES_OF_LANE; j++, at += TABLE) {
      // A byte's sum is that of the byte without its highest code, plus that code's share.
      tables[at] = 0
      for (let col = j, known = 1; col < tileCols; col += 4, known *= base) {
        const value = tile + col < q.length ? q[tile + col] : 0
        for (let i = known; i < known * base; i++) {
          tables[at + i] = tables[at + i - known] + value
        }
      }
    }
  }
}

/**
 * @param out (tokens, weights.rows)
 * @param x of `tokens` tokens with weights.cols columns
 * @param accumulate add to `out` instead of replacing it
 * @param part the rows to compute, from a stripe's first on; undefined for all
 */
export function ternaryMatmul(
  out: Float32Array,
  x: QuantizedRows,
  weights: TernaryWeights,
  tokens: number,
  accumulate: boolean,
  part?: RowRange,
): void {
  const { rows, cols, scales, packing = '2bit', order = 'stripes' } = weights
  const { bytes } = inStripes(weights, order, packing)
  const { tileCols, base } = PACKINGS[packing]
  const stride = padToTile(cols)
  const tiles = Math.ceil(cols / tileCols)
  const tables = new Int16Array(tiles * BYTES_OF_LANE * TABLE)
  // One word is the codes of one row in a tile; a stripe has 16 words a tile.
  const words = new Int32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength >> 2)
  const sums = new Int32Array(TILE)
  const { first, count: partRows } = part ?? { first: 0, count: rows }
  const end = first + partRows
  for (let token = 0; token < tokens; token++) {
    const q = x.q.subarray(token * stride, token * stride + Math.min(stride, tiles * tileCols))
    fillTables(tables, q, tileCols, base)
    for (let row = first; row < end; row += TILE) {
      sumStripe(sums, words, row * tiles, tables, tiles)
      const count = Math.min(TILE, end - row)
      for (let r = 0; r < count; r++) {
        const dot = sums[r] - x.sums[token]
        const y = f(f(dot) * f(x.scales[token] * scales[row + r]))
        const at = token * rows + row + r
        out[at] = accumulate ? out[at] + y : y
      }
    }
  }
}

/** sums[r] = sum of code * q over all columns of row r of the stripe that begins at `first`. */
function sumStripe(
  sums: Int32Array,
  words: Int32Array,
  first: number,
  tables: Int16Array,
  tiles: number,
): void {
  for (let r = 0; r < TILE; r++) {
    let sum = 0
    for (let tile = 0; tile < tiles; tile++) {
      const word = words[first + tile * TILE + r]
      const at = tile * BYTES_OF_LANE * TABLE
      sum +=
        tables[at + (word & 255)] +
        tables[at + TABLE + ((word >>> 8) & 255)] +
        tables[at + 2 * TABLE + ((word >>> 16) & 255)] +
        tables[at + 3 * TABLE + (word >>> 24)]
    }
    sums[r] = sum
  }
}
