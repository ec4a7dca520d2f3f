/** Cases of pack-dense: every type, pieces within a stripe, rows of zeros and values that overflow f16. */
import { padToTile } from '../../ternary/index.ts'
import type { DenseType } from '../commands.ts'
import { bitnet2b4t, type KernelCase, Seeded } from '../conformance/cases.ts'
import { denseByteLength } from '../dense-matmul/layout.ts'

function packCase(
  type: DenseType,
  matrixRows: number,
  cols: number,
  firstRow: number,
  rows: number,
): KernelCase {
  return {
    name: `${type}, rows ${firstRow} to ${firstRow + rows - 1} of ${matrixRows} x ${cols}`,
    create() {
      const values = new Seeded(37).floats(rows * cols, 3)
      // Rounding edges, an overflow of f16, values below its normal range, and a vanishing row.
      values.set([70000, 2 ** -15, -(2 ** -25), 2049 / 2048].slice(0, values.length))
      if (rows > 2) values.fill(0, cols, 2 * cols)
      if (rows > 3) values.fill(1e-41, 2 * cols, 3 * cols)
      return {
        contents: {
          values,
          data: new Uint8Array(denseByteLength(type, matrixRows, cols)).fill(0xee),
          scales: new Float32Array(padToTile(matrixRows)).fill(9),
        },
        command: ({ values, data, scales }) => ({
          op: 'pack-dense',
          rows,
          firstRow,
          values,
          out: { type, rows: matrixRows, cols, data, scales },
        }),
      }
    },
  }
}

export const packDenseCases: readonly KernelCase[] = (['f32', 'f16', 'int8'] as const).flatMap(
  (type) => [
    packCase(type, 1, 1, 0, 1),
    packCase(type, 17, 5, 0, 17),
    packCase(type, 40, 33, 5, 3),
    packCase(type, 40, 31, 30, 10),
    packCase(type, 64, bitnet2b4t.dim, 16, 48),
  ],
)
