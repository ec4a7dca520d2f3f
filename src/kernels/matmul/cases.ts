/** Cases of matmul: all forms, sizes around the tiles of every variant, sums of more than a block. */
import { type KernelCase, Seeded, stale } from '../testing/conformance-cases.ts'
import type { MatmulShape } from './reference.ts'

function matmulCase(shape: MatmulShape): KernelCase {
  const { rows, cols, inner, transposeA, transposeB, accumulate, halves } = shape
  const form = `${transposeA ? 'At' : 'A'} ${transposeB ? 'Bt' : 'B'}${accumulate ? ', added' : ''}${halves ? ', halves' : ''}`
  return {
    name: `${form}, ${rows} x ${cols} over ${inner}`,
    weights: rows * cols * inner,
    create() {
      const seeded = new Seeded(rows * 7 + cols * 3 + inner)
      const out = accumulate ? seeded.floats(rows * cols) : stale(rows * cols)
      return {
        contents: { a: seeded.floats(rows * inner), b: seeded.floats(inner * cols), out },
        command: ({ a, b, out }) => ({ op: 'matmul', ...shape, a, b, out }),
      }
    },
  }
}

const forms = [false, true].flatMap((transposeA) =>
  [false, true].map((transposeB) => ({ transposeA, transposeB })),
)

export const cases: readonly KernelCase[] = [
  matmulCase({ rows: 1, cols: 1, inner: 1 }),
  ...forms.flatMap((form) => [
    matmulCase({ ...form, rows: 3, cols: 17, inner: 5 }),
    matmulCase({ ...form, rows: 13, cols: 33, inner: 257, accumulate: true }),
    matmulCase({ ...form, rows: 97, cols: 131, inner: 40 }),
    matmulCase({ ...form, rows: 12, cols: 32, inner: 600 }),
  ]),
  matmulCase({ rows: 200, cols: 31, inner: 16, accumulate: true }),
  // Sizes of tiles of matrices: one tile and less, parts of a sum, in place of or added to what is there.
  ...forms.flatMap((form) => [
    matmulCase({ ...form, rows: 64, cols: 32, inner: 64, halves: true }),
    matmulCase({ ...form, rows: 192, cols: 160, inner: 192, halves: true, accumulate: true }),
    matmulCase({ ...form, rows: 64, cols: 96, inner: 832, halves: true, accumulate: true }),
  ]),
]
