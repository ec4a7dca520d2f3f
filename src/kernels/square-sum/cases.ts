/** Cases of square-sum: widths around a vector, numbers whose squares overflow or vanish. */
import { type KernelCase, Seeded, stale } from '../testing/conformance-cases.ts'

function sumCase(rows: number, cols: number, magnitude = 1): KernelCase {
  return {
    name: `${rows} x ${cols} of magnitude ${magnitude}`,
    create: () => ({
      contents: {
        x: new Seeded(rows + cols).floats(rows * cols, magnitude),
        out: stale(1),
      },
      command: ({ x, out }) => ({ op: 'square-sum', rows, cols, x, out }),
    }),
  }
}

export const cases: readonly KernelCase[] = [
  ...[1, 15, 16, 17].flatMap((cols) => [sumCase(1, cols), sumCase(3, cols)]),
  sumCase(20, 1024, 0.01),
  sumCase(2, 33, 1e25),
  sumCase(2, 33, 1e-25),
]
