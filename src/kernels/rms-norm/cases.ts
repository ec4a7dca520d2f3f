/** Cases of rms-norm: lanes that fill unevenly, tiny and huge rows, and working in place. */
import {
  bitnet2b4t,
  type KernelCase,
  Seeded,
  stale,
  tokenCounts,
} from '../testing/conformance-cases.ts'

function normCase(
  rows: number,
  cols: number,
  magnitude = 1,
  mode: 'replace' | 'in place' | 'added' = 'replace',
): KernelCase {
  return {
    name: `${rows} x ${cols} of magnitude ${magnitude}${mode === 'replace' ? '' : `, ${mode}`}`,
    create() {
      const seeded = new Seeded(rows * 31 + cols)
      return {
        contents: {
          x: seeded.floats(rows * cols, magnitude),
          weight: seeded.floats(cols, 2),
          out: mode === 'added' ? seeded.floats(rows * cols, 3) : stale(rows * cols),
        },
        command: ({ x, weight, out }) => ({
          op: 'rms-norm',
          rows,
          cols,
          eps: bitnet2b4t.normEps,
          x,
          weight,
          out: mode === 'in place' ? x : out,
          accumulate: mode === 'added',
        }),
      }
    },
  }
}

export const cases: readonly KernelCase[] = [
  ...[1, 2, 15, 16, 17, 33].flatMap((cols) => [normCase(1, cols), normCase(3, cols)]),
  ...tokenCounts.map((rows) => normCase(rows, bitnet2b4t.dim)),
  normCase(17, bitnet2b4t.ffnDim, 300),
  normCase(2, bitnet2b4t.dim, 1e-21), // squares are subnormal
  normCase(2, bitnet2b4t.dim, 1e15),
  normCase(2, 40, 0),
  normCase(17, 47, 1, 'in place'),
  ...[1, 15, 16, 33, bitnet2b4t.dim].map((cols) => normCase(3, cols, 1, 'added')),
]
