/** Cases of blend: widths around a vector, and shares at both ends. */
import { type KernelCase, Seeded } from '../testing/conformance-cases.ts'

export const cases: readonly KernelCase[] = [
  [1, 1, 0.3],
  [3, 15, 0],
  [2, 16, 1],
  [5, 33, 0.7],
  [17, 256, 0.001],
].map(([rows, cols, share]) => ({
  name: `${rows} x ${cols}, ${share}`,
  create() {
    const seeded = new Seeded(rows + cols)
    const contents = {
      x: seeded.floats(rows * cols),
      out: seeded.floats(rows * cols),
      share: Float32Array.of(share),
    }
    return {
      contents,
      command: ({ x, out, share }) => ({ op: 'blend', rows, cols, x, out, share }),
    }
  },
}))
