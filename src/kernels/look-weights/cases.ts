/** Cases of look-weights: sizes at the edges of stripes and groups, weights of every kind. */
import { padToTile } from '../../ternary/index.ts'
import { denseByteLength, packDense } from '../dense-matmul/layout.ts'
import { type KernelCase, Seeded, stale } from '../testing/conformance-cases.ts'
import { boundFloats } from './op.ts'

interface Shape {
  readonly what: string
  readonly rows: number
  readonly cols: number
  readonly magnitude?: number
  readonly shape?: (values: Float32Array) => void
}

function lookCase({ what, rows, cols, magnitude = 0.1, shape }: Shape): KernelCase {
  return {
    name: `${rows} x ${cols}, ${what}`,
    weights: rows * cols,
    create() {
      const values = new Seeded(rows + cols).floats(rows * cols, magnitude)
      shape?.(values)
      return {
        contents: {
          data: packDense('f16', values, rows, cols).data,
          look: new Uint8Array(denseByteLength('int8', rows, cols)).fill(7),
          scales: stale(padToTile(rows)),
          bounds: stale(boundFloats(rows)),
        },
        command: (b) => ({
          op: 'look-weights',
          rows,
          weights: { type: 'f16', rows, cols, data: b['data'], scales: undefined },
          look: { type: 'int8', rows, cols, data: b['look'], scales: b['scales'] },
          bounds: b['bounds'],
        }),
      }
    },
  }
}

export const cases: readonly KernelCase[] = [
  ...[1, 15, 16, 17, 33].flatMap((rows) =>
    [1, 3, 4, 5, 66].map((cols) => lookCase({ what: 'random', rows, cols })),
  ),
  lookCase({ what: 'random', rows: 500, cols: 2560 }),
  lookCase({ what: 'subnormal', rows: 40, cols: 30, magnitude: 2 ** -22 }),
  lookCase({ what: 'the largest', rows: 40, cols: 30, magnitude: 65504 }),
  lookCase({
    what: 'zeros, and what is no number',
    rows: 40,
    cols: 30,
    shape: (values) => {
      values.fill(0, 0, 3 * 30)
      values[5 * 30 + 7] = Infinity
      values[6 * 30] = -Infinity
      values[20 * 30 + 29] = Number.NaN
    },
  }),
  lookCase({
    what: 'halfway between two',
    rows: 40,
    cols: 30,
    shape: (values) => {
      for (let i = 0; i < values.length; i++) values[i] = i % 30 ? (i % 253) / 2 - 63 : 127
    },
  }),
]
