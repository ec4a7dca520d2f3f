/**
 * BitLinear's product: out (tokens, rows) = (W q) * (token scale * row scale), added to out if asked.
 *
 *   W (rows, cols) ternary in the layout of ternary/pack.ts · q (tokens, padded cols) int8
 *
 * Codes are w + 1, so code * q is summed and the token's sum of q taken off at the end. The dot
 * product is exact: |code * q| <= 256, so int32 holds rows of up to 8 million columns.
 *
 * A byte of a tile holds the codes of four columns, so for each byte column the sums of all 256 bytes
 * are tabled once a token, and a row then costs one look-up for four weights.
 */
import { type PackedTernary, padToTile, TILE } from '../../ternary/index.ts'
import type { QuantizedRows } from '../quantize/reference.ts'

const f = Math.fround

/** A packed matrix with its scales. */
export interface TernaryWeights extends PackedTernary {
  /** One a padded row. */
  readonly scales: Float32Array
}

/** Four words of a lane's tile column: bytes j = 0..3 of the lane. */
const BYTES_OF_LANE = 4

/**
 * tables[(4 t + j) * 256 + byte] = sum of code * q over the columns 16 t + {j, 4 + j, 8 + j, 12 + j}.
 * At most 4 * 3 * 128 in magnitude, so int16 holds it.
 */
function fillTables(tables: Int16Array, q: Int8Array): void {
  for (let tile = 0; tile < q.length; tile += TILE) {
    for (let j = 0; j < BYTES_OF_LANE; j++) {
      const at = ((tile >> 2) + j) * 256
      // A byte's sum is that of the byte without its highest code, plus that code's share.
      tables[at] = 0
      for (let p = 0, known = 1; p < 4; p++, known *= 4) {
        const value = q[tile + 4 * p + j]
        for (let i = known; i < known * 4; i++) tables[at + i] = tables[at + i - known] + value
      }
    }
  }
}

/**
 * @param out (tokens, weights.rows)
 * @param x of `tokens` tokens with weights.cols columns
 * @param accumulate add to `out` instead of replacing it
 */
export function ternaryMatmul(
  out: Float32Array,
  x: QuantizedRows,
  weights: TernaryWeights,
  tokens: number,
  accumulate: boolean,
): void {
  const { rows, cols, bytes, scales } = weights
  const stride = padToTile(cols)
  const tables = new Int16Array(stride * 64)
  // One word is the 16 codes of one row in a tile; a stripe has `stride` words.
  const words = new Int32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength >> 2)
  const sums = new Int32Array(TILE)
  for (let token = 0; token < tokens; token++) {
    fillTables(tables, x.q.subarray(token * stride, (token + 1) * stride))
    for (let row = 0; row < rows; row += TILE) {
      sumStripe(sums, words, (row >> 4) * stride, tables, stride)
      const count = Math.min(TILE, rows - row)
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
  stride: number,
): void {
  for (let r = 0; r < TILE; r++) {
    let sum = 0
    for (let tile = 0; tile < stride; tile += TILE) {
      const word = words[first + tile + r]
      const at = tile * 64
      sum +=
        tables[at + (word & 255)] +
        tables[at + 256 + ((word >>> 8) & 255)] +
        tables[at + 512 + ((word >>> 16) & 255)] +
        tables[at + 768 + (word >>> 24)]
    }
    sums[r] = sum
  }
}
