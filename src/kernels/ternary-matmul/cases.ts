/**
 * Cases of ternary-matmul: the products of 2B-4T, one less and one more than a tile in each direction,
 * single rows and columns, and the largest sums there can be.
 */
import {
  bitnet2b4t,
  type KernelCase,
  quantizedRows,
  Seeded,
  tokenCounts,
} from '../conformance/cases.ts'

interface Shape {
  readonly rows: number
  readonly cols: number
  readonly tokens: number
  readonly accumulate?: boolean
  /** One code for all weights. */
  readonly code?: number
  /** One value for all activations. */
  readonly q?: number
}

function ternaryCase({ rows, cols, tokens, accumulate = false, code, q }: Shape): KernelCase {
  const fixed = code === undefined ? '' : `, all weights ${code} and activations ${q}`
  return {
    name: `${rows} x ${cols}, ${tokens} tokens${accumulate ? ', added' : ''}${fixed}`,
    create() {
      const seeded = new Seeded(rows * 7 + cols * 3 + tokens)
      const codes = code === undefined ? undefined : new Int8Array(rows * cols).fill(code)
      const weights = seeded.ternary(rows, cols, codes)
      const count = tokens * cols
      const input = q === undefined ? seeded.int8(count) : new Int8Array(count).fill(q)
      const x = quantizedRows(input, seeded.positive(tokens, 0.1), tokens, cols)
      return {
        contents: {
          data: weights.bytes,
          weightScales: weights.scales,
          q: x.q,
          scales: x.scales,
          sums: x.sums,
          out: seeded.floats(tokens * rows),
        },
        command: (b) => ({
          op: 'ternary-matmul',
          rows: tokens,
          weights: { rows, cols, data: b['data'], scales: b['weightScales'] },
          x: { q: b['q'], scales: b['scales'], sums: b['sums'] },
          out: b['out'],
          accumulate,
        }),
      }
    },
  }
}

const { dim, ffnDim, qkvRows, gateUpRows } = bitnet2b4t
const edges = [1, 15, 16, 17, 33]

export const ternaryMatmulCases: readonly KernelCase[] = [
  ...edges.flatMap((rows) => edges.map((cols) => ternaryCase({ rows, cols, tokens: 1 }))),
  ...[2, 3, 17].flatMap((tokens) => [
    ternaryCase({ rows: 1, cols: 1, tokens }),
    ternaryCase({ rows: 15, cols: 17, tokens, accumulate: true }),
    ternaryCase({ rows: 17, cols: 15, tokens }),
    ternaryCase({ rows: 47, cols: 2561, tokens, accumulate: true }),
  ]),
  ...[4, 5, 7, 8, 9, 15, 16, 31, 64].map((tokens) => ternaryCase({ rows: 49, cols: 79, tokens })),
  ...tokenCounts.map((tokens) => ternaryCase({ rows: qkvRows, cols: dim, tokens })),
  ternaryCase({ rows: dim, cols: dim, tokens: 1, accumulate: true }),
  ternaryCase({ rows: gateUpRows, cols: dim, tokens: 1 }),
  ternaryCase({ rows: dim, cols: ffnDim, tokens: 1, accumulate: true }),
  ternaryCase({ rows: dim, cols: ffnDim, tokens: 17, accumulate: true }),
  ...[-1, 1].flatMap((code) =>
    [-128, 127].flatMap((q) =>
      [1, 3].map((tokens) => ternaryCase({ rows: 33, cols: ffnDim, tokens, code, q })),
    ),
  ),
]
