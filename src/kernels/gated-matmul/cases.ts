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

/**
 * Rows of gates so that about a share `open` of them is positive: rows of zeros are not, of others half of the
 * tokens' are. With 1, all of the first token's.
 */
function openGates(codes: Int8Array, q: Int8Array, half: number, cols: number, open: number): void {
  for (let row = 0; row < half; row++) {
    const gate = codes.subarray(row * cols, (row + 1) * cols)
    if ((row * 7) % 16 >= 32 * open) gate.fill(0)
    const isOpen = gate.reduce((sum, code, i) => sum + code * q[i], 0) > 0
    if (open === 1 && !isOpen) for (let i = 0; i < cols; i++) gate[i] = q[i] < 0 ? -1 : 1
  }
}

/** (tokens, 2 half), which a token may be judged by before its own gates are known. */
function gatesBefore(tokens: number, half: number, open: number): Float32Array {
  const gates = stale(tokens * half * 2)
  for (let i = 0; i < gates.length && open > 0; i++) gates[i] = (i * 7) % 16 < 16 * open ? 1 : -1
  return gates
}

function gatedCase(
  half: number,
  cols: number,
  tokens: number,
  open: number,
  packing: TernaryPacking = '2bit',
  /** What the last layer's gates were. */
  before = 0,
): KernelCase {
  const rows = 2 * half
  return {
    name: `${packing}, ${half} x ${cols}, ${tokens} tokens, gates open at ${open}, at ${before} before`,
    weights: rows * cols,
    create() {
      const seeded = new Seeded(half * 7 + cols * 3 + tokens)
      const bytes = new Uint8Array(ternaryByteLength({ packing, order: 'gated', rows, cols }))
      const matrix: PackedTernary = { rows, cols, bytes }
      const codes = seeded.codes(rows * cols)
      const values = seeded.int8(tokens * cols)
      openGates(codes, values, half, cols, open)
      packGatedRows(matrix, codes, rows, 0, packing)
      const weightScales = new Float32Array(padToTile(rows))
      weightScales.set(seeded.positive(rows, 0.02))
      const x = quantizedRows(values, seeded.positive(tokens, 0.1), tokens, cols)
      return {
        contents: {
          data: bytes,
          weightScales,
          q: x.q,
          scales: x.scales,
          sums: x.sums,
          gateUp: gatesBefore(tokens, half, before),
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
  ...(['2bit', 'base3'] as const).flatMap((packing) =>
    [0, 0.2, 0.5, 1].flatMap((open) =>
      [1, 79, 320, 1280].map((cols) => gatedCase(80, cols, 1, open, packing, 0.6)),
    ),
  ),
  ...[0.2, 0.5, 1].map((open) => gatedCase(272, 2048, 1, open, 'base3')),
  ...[0.2, 0.5, 1].map((open) => gatedCase(272, 2048, 1, open)),
]
