/** Cases of gated-matmul: widths around words and lines, all shares of open gates, few and many tokens. */

import { type PackedTernary, packGatedRows, padToTile } from '../../ternary/index.ts'
import { ternaryByteLength } from '../matrices.ts'
import type { TernaryPacking } from '../storage.ts'
import {
  bitnet2b4t,
  type KernelCase,
  quantizedRows,
  Seeded,
  stale,
} from '../testing/conformance-cases.ts'

function gatedCase(
  half: number,
  cols: number,
  tokens: number,
  open: number,
  packing: TernaryPacking = '2bit',
): KernelCase {
  const rows = 2 * half
  return {
    name: `${packing}, ${half} x ${cols}, ${tokens} tokens, gates open at ${open}`,
    weights: rows * cols,
    create() {
      const seeded = new Seeded(half * 7 + cols * 3 + tokens)
      const bytes = new Uint8Array(ternaryByteLength({ packing, order: 'gated', rows, cols }))
      const matrix: PackedTernary = { rows, cols, bytes }
      packGatedRows(matrix, seeded.codes(rows * cols), rows, 0, packing)
      const weightScales = new Float32Array(padToTile(rows))
      weightScales.set(seeded.positive(rows, 0.02))
      const x = quantizedRows(
        seeded.int8(tokens * cols),
        seeded.positive(tokens, 0.1),
        tokens,
        cols,
      )
      const gateUp = seeded.floats(tokens * rows).map((g) => g + 2 * open - 1)
      gateUp[0] = -0
      return {
        contents: {
          data: bytes,
          weightScales,
          q: x.q,
          scales: x.scales,
          sums: x.sums,
          gateUp,
          out: stale(tokens * half),
        },
        command: (b) => ({
          op: 'gated-matmul',
          rows: tokens,
          weights: {
            packing,
            order: 'gated',
            rows,
            cols,
            data: b['data'],
            scales: b['weightScales'],
          },
          x: { q: b['q'], scales: b['scales'], sums: b['sums'] },
          gateUp: b['gateUp'],
          out: b['out'],
        }),
      }
    },
  }
}

const { dim, ffnDim } = bitnet2b4t
const shapes = [16, 48, 80].flatMap((half) => [1, 15, 17, 64, 255, 257].map((cols) => [half, cols]))

export const cases: readonly KernelCase[] = [
  ...shapes.map(([half, cols]) => gatedCase(half, cols, 1, 0.4)),
  ...[0, 0.2, 1].flatMap((open) => [1, 3].map((tokens) => gatedCase(96, 320, tokens, open))),
  ...[2, 4, 7, 8, 9, 16, 17, 33].map((tokens) => gatedCase(80, 79, tokens, 0.3)),
  ...[0, 0.05, 0.45, 0.6].map((open) => gatedCase(48, 257, 35, open)),
  ...[64, 128, 129].map((tokens) => gatedCase(32, 79, tokens, 0.1)),
  ...[1, 5, 17].map((tokens) => gatedCase(ffnDim / 4, dim, tokens, 0.2)),
  ...[1, 19, 21, 320, 341].map((cols) => gatedCase(48, cols, 1, 0.4, 'base3')),
  ...[2, 8, 9, 20].map((tokens) => gatedCase(80, 99, tokens, 0.3, 'base3')),
  ...[301, 320, 341].map((cols) => gatedCase(32, cols, 66, 0.2, 'base3')),
  gatedCase(ffnDim / 4, dim, 1, 0.2, 'base3'),
]
