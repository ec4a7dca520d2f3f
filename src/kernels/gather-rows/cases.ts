/** Cases of gather-rows: out of order, repeated, and values that only a copy keeps bit for bit. */
import { bitnet2b4t, type KernelCase, Seeded, stale } from '../testing/conformance-cases.ts'

function gatherCase(xRows: number, cols: number, index: number[]): KernelCase {
  return {
    name: `${index.length} of ${xRows} rows of ${cols}`,
    create() {
      const x = new Seeded(11).floats(xRows * cols)
      x[0] = -0
      x[x.length - 1] = Number.NaN
      return {
        contents: { x, index: Int32Array.from(index), out: stale(index.length * cols) },
        command: (buffers) => ({
          op: 'gather-rows',
          rows: index.length,
          cols,
          x: buffers['x'],
          index: buffers['index'],
          out: buffers['out'],
        }),
      }
    },
  }
}

export const cases: readonly KernelCase[] = [
  gatherCase(1, 1, [0]),
  gatherCase(3, 15, [2, 0, 2]),
  gatherCase(17, 17, [16]),
  gatherCase(17, bitnet2b4t.dim, [16, 3, 3, 0]),
]
