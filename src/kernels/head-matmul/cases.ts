/** Cases of head-matmul: edges of stripes and tiles, several tokens, ties, negative results only. */

import { packDense } from '../dense-matmul/layout.ts'
import { bitnet2b4t, type KernelCase, Seeded } from '../testing/conformance-cases.ts'

interface Shape {
  readonly rows: number
  readonly cols: number
  readonly tokens: number
  readonly exactStripes: number
  /** Size of the activations. */
  readonly x?: number
  /** Rows repeat from here on, so that maxima of stripes are equal. */
  readonly period?: number
  /** All weights positive and all activations negative, so that padding would win. */
  readonly negative?: boolean
}

function headCase(shape: Shape): KernelCase {
  const { rows, cols, tokens, exactStripes, x = 4, period = rows, negative = false } = shape
  const kind = `${period < rows ? ', with ties' : ''}${negative ? ', all negative' : ''}`
  return {
    name: `${rows} x ${cols}, ${tokens} tokens, x to ${x}, ${exactStripes} stripes exact${kind}`,
    weights: rows * cols,
    create() {
      const seeded = new Seeded(rows * 7 + cols * 3 + tokens)
      const values = seeded.floats(rows * cols, 0.1)
      const input = seeded.floats(tokens * cols, x)
      if (negative) {
        values.set(values.map(Math.abs))
        input.set(input.map((v) => -Math.abs(v)))
      }
      for (let i = period * cols; i < values.length; i++) values[i] = values[i - period * cols]
      const packed = packDense('int4', values, rows, cols)
      return {
        contents: {
          data: packed.data,
          scales: packed.scales ?? new Float32Array(0),
          x: input,
          out: seeded.floats(tokens * rows),
        },
        command: ({ data, scales, x, out }) => ({
          op: 'head-matmul',
          rows: tokens,
          weights: { type: 'int4', rows, cols, data, scales },
          x,
          out,
          exactStripes,
        }),
      }
    },
  }
}

const { dim, vocabSlice } = bitnet2b4t

export const cases: readonly KernelCase[] = [
  ...[1, 15, 17, 33].flatMap((rows) =>
    [1, 4, 7, 8, 9, 66].map((cols) => headCase({ rows, cols, tokens: 1, exactStripes: 1 })),
  ),
  ...[2, 3, 4, 5, 6, 7, 8, 17].map((tokens) =>
    headCase({ rows: 333, cols: 66, tokens, exactStripes: 3 }),
  ),
  headCase({ rows: 333, cols: 66, tokens: 3, exactStripes: 1000 }),
  headCase({ rows: 333, cols: 40, tokens: 2, exactStripes: 5, period: 16 }),
  headCase({ rows: 333, cols: 40, tokens: 2, exactStripes: 9, period: 96 }),
  headCase({ rows: 39, cols: 70, tokens: 2, exactStripes: 1, negative: true }),
  headCase({ rows: 39, cols: 70, tokens: 2, exactStripes: 1, x: 0 }),
  headCase({ rows: 300, cols: 70, tokens: 1, exactStripes: 4, x: 1e-9 }),
  headCase({ rows: vocabSlice + 1, cols: dim, tokens: 1, exactStripes: 32 }),
  headCase({ rows: 640, cols: 6912, tokens: 1, exactStripes: 8, negative: true }),
]
