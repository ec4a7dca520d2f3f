/** Cases of dequantize: widths around a vector. */
import { type KernelCase, quantizedRows, Seeded, stale } from '../testing/conformance-cases.ts'

export const cases: readonly KernelCase[] = [
  [1, 1],
  [3, 15],
  [5, 33],
  [17, 256],
].map(([rows, cols]) => ({
  name: `${rows} x ${cols}`,
  create() {
    const seeded = new Seeded(rows * cols)
    const scales = seeded.positive(rows, 0.02)
    return {
      contents: {
        ...quantizedRows(seeded.int8(rows * cols), scales, rows, cols),
        out: stale(rows * cols),
      },
      command: ({ q, scales, sums, out }) => ({
        op: 'dequantize',
        rows,
        cols,
        x: { q, scales, sums },
        out,
      }),
    }
  },
}))
