/** Cases of pack-ternary: whole matrices, pieces that begin and end within a stripe, odd widths. */
import { packedByteLength, padToTile } from '../../ternary/index.ts'
import { bitnet2b4t, type KernelCase, Seeded } from '../conformance/cases.ts'

function packCase(matrixRows: number, cols: number, firstRow: number, rows: number): KernelCase {
  return {
    name: `rows ${firstRow} to ${firstRow + rows - 1} of ${matrixRows} x ${cols}`,
    create() {
      const seeded = new Seeded(31)
      return {
        contents: {
          codes: seeded.codes(rows * cols),
          data: new Uint8Array(packedByteLength(matrixRows, cols)).fill(0xee),
          scales: new Float32Array(padToTile(matrixRows)),
        },
        command: ({ codes, data, scales }) => ({
          op: 'pack-ternary',
          rows,
          firstRow,
          codes,
          out: { rows: matrixRows, cols, data, scales },
        }),
      }
    },
  }
}

export const packTernaryCases: readonly KernelCase[] = [
  packCase(1, 1, 0, 1),
  packCase(16, 16, 0, 16),
  packCase(17, 15, 0, 17),
  packCase(40, 33, 5, 3),
  packCase(40, 33, 5, 20),
  packCase(40, 20, 30, 10),
  packCase(48, bitnet2b4t.ffnDim, 16, 32),
  packCase(130, bitnet2b4t.dim, 0, 130),
]
