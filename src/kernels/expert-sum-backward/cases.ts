/** Cases of expert-sum-backward: one expert a row and many, places in any order. */
import {
  bitnet2b4t,
  type KernelCase,
  Seeded,
  shuffled,
  stale,
} from '../testing/conformance-cases.ts'

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
          dOut: seeded.floats(rows * cols, 3),
          dx: stale(count * cols),
          dWeights: stale(count),
        },
        command: (b) => ({
          op: 'expert-sum-backward',
          rows,
          cols,
          top,
          x: b['x'],
          weights: b['weights'],
          places: b['places'],
          dOut: b['dOut'],
          dx: b['dx'],
          dWeights: b['dWeights'],
        }),
      }
    },
  }
}

export const cases: readonly KernelCase[] = [
  sumCase(1, 1, 1),
  ...[15, 16, 17, 100].map((cols) => sumCase(3, cols, 2)),
  sumCase(2, bitnet2b4t.dim, 8),
  sumCase(17, 65, 4),
]
