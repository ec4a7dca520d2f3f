/** Cases of axpy: widths around a vector, replacing and adding, in place. */
import { type KernelCase, Seeded, stale } from '../testing/conformance-cases.ts'

function axpyCase(
  rows: number,
  cols: number,
  accumulate: boolean,
  inPlace = false,
  scale = 0.3,
): KernelCase {
  return {
    name: `${rows} x ${cols}${accumulate ? ', added' : ''}${inPlace ? ', in place' : ''}, times ${scale}`,
    create() {
      const seeded = new Seeded(rows + cols)
      const out = accumulate ? seeded.floats(rows * cols) : stale(rows * cols)
      return {
        contents: { x: seeded.floats(rows * cols), out },
        command: ({ x, out }) => ({
          op: 'axpy',
          rows,
          cols,
          scale,
          x,
          out: inPlace ? x : out,
          accumulate,
        }),
      }
    },
  }
}

export const cases: readonly KernelCase[] = [
  ...[1, 15, 16, 17, 200].flatMap((cols) => [axpyCase(1, cols, false), axpyCase(3, cols, true)]),
  axpyCase(2, 33, false, true),
  axpyCase(2, 33, false, true, 0),
]
