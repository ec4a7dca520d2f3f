/** Cases of count-codes: one tile, padding, pieces of threads and one tile more. */
import { packTernary } from '../../ternary/index.ts'
import { type KernelCase, Seeded } from '../testing/conformance-cases.ts'

export const cases: readonly KernelCase[] = [
  [1, 1],
  [16, 16],
  [17, 33],
  [100, 256],
  [1024, 64],
  [1040, 64],
].map(([rows, cols]) => ({
  name: `${rows} x ${cols}`,
  create() {
    const seeded = new Seeded(rows + cols)
    const [codes, before] = [0, 1].map(() => {
      const { bytes } = packTernary(seeded.codes(rows * cols), rows, cols)
      return new Int32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4)
    })
    return {
      contents: { codes, before, out: Int32Array.of(-7, -7, -7) },
      command: (own) => ({
        ...{ op: 'count-codes', rows, cols },
        ...{ codes: own['codes'], before: own['before'], out: own['out'] },
      }),
    }
  },
}))
