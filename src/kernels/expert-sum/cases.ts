/** Cases of expert-sum: one expert a row and many, places in any order. */
import { bitnet2b4t, type KernelCase, Seeded, shuffled } from '../testing/conformance-cases.ts'

function sumCase(rows: number, cols: number, top: number): KernelCase {
  return {
    name: `${top} of ${rows} rows of ${cols}`,
    create() {
      const seeded = new Seeded(rows + 7 * cols)
      const count = rows * top
      return {
        contents: {
          x: seeded.floats(count * cols, 2),
          weights: seeded.positive(count),
          places: Int32Array.from(shuffled(count)),
          out: seeded.floats(rows * cols, 3),
        },
        command: ({ x, weights, places, out }) => {
          return { op: 'expert-sum', rows, cols, top, x, weights, places, out }
        },
      }
    },
  }
}

export const cases: readonly KernelCase[] = [
  sumCase(1, 1, 1),
  ...[15, 16, 17, 100].map((cols) => sumCase(3, cols, 2)),
  sumCase(1, bitnet2b4t.dim, 8),
  sumCase(17, 65, 4),
]
