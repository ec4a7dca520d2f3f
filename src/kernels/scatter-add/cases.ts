/** Cases of scatter-add: rows named once, often and not at all. */
import { type KernelCase, Seeded } from '../testing/conformance-cases.ts'

function scatterCase(index: readonly number[], cols: number): KernelCase {
  const rows = index.length
  return {
    name: `${rows} rows of ${cols}`,
    create() {
      const seeded = new Seeded(rows + cols)
      return {
        contents: {
          x: seeded.floats(rows * cols),
          index: Int32Array.from(index),
          out: seeded.floats(7 * cols),
        },
        command: ({ x, index, out }) => ({ op: 'scatter-add', rows, cols, x, index, out }),
      }
    },
  }
}

export const cases: readonly KernelCase[] = [
  scatterCase([3], 1),
  scatterCase([6, 0, 6, 6, 2], 17),
  scatterCase([1, 1, 1, 5, 1, 0, 1], 100),
  scatterCase([4, 2], 64),
]
