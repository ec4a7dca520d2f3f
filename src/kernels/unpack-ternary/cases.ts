/** Cases of unpack-ternary: sizes around tiles. */
import { type KernelCase, Seeded, stale } from '../testing/conformance-cases.ts'

export const cases: readonly KernelCase[] = [
  [1, 1],
  [3, 17],
  [16, 16],
  [33, 47],
  [100, 256],
].map(([rows, cols]) => ({
  name: `${rows} x ${cols}`,
  create() {
    const { bytes, scales } = new Seeded(rows + cols).ternary(rows, cols)
    return {
      contents: { data: bytes, scales, out: stale(rows * cols) },
      command: ({ data, scales, out }) => ({
        op: 'unpack-ternary',
        rows,
        matrix: { rows, cols, data, scales },
        out,
      }),
    }
  },
}))
