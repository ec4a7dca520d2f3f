/** Cases of rms-norm-backward: lanes that fill unevenly, rows in and not in one piece, tiny and huge rows. */
import { type KernelCase, Seeded, stale } from '../testing/conformance-cases.ts'

function backwardCase(
  rows: number,
  cols: number,
  { magnitude = 1, accumulate = false } = {},
): KernelCase {
  return {
    name: `${rows} x ${cols} of magnitude ${magnitude}${accumulate ? ', added' : ''}`,
    create() {
      const seeded = new Seeded(rows * 31 + cols)
      const contents = {
        x: seeded.floats(rows * cols, magnitude),
        weight: seeded.floats(cols, 2),
        dOut: seeded.floats(rows * cols, 0.1),
        dx: accumulate ? seeded.floats(rows * cols) : stale(rows * cols),
        dWeight: seeded.floats(cols),
      }
      return {
        contents,
        command: ({ x, weight, dOut, dx, dWeight }) => ({
          op: 'rms-norm-backward',
          rows,
          cols,
          eps: 1e-5,
          x,
          weight,
          dOut,
          dx,
          dWeight,
          accumulate,
        }),
      }
    },
  }
}

export const cases: readonly KernelCase[] = [
  ...[1, 15, 16, 17, 33, 130].flatMap((cols) => [
    backwardCase(1, cols),
    backwardCase(7, cols, { accumulate: true }),
  ]),
  backwardCase(40, 256, { magnitude: 300 }),
  backwardCase(2, 64, { magnitude: 1e-12 }),
  backwardCase(2, 40, { magnitude: 0 }),
]
