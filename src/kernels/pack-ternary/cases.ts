/** Cases of pack-ternary: whole matrices, pieces that begin and end within a stripe, odd widths. */

import { padToTile, type TernaryOrder } from '../../ternary/index.ts'
import { ternaryByteLength } from '../matrices.ts'
import type { CodesType, TernaryPacking } from '../storage.ts'
import { bitnet2b4t, type KernelCase, Seeded } from '../testing/conformance-cases.ts'

function packCase(
  matrixRows: number,
  cols: number,
  firstRow: number,
  rows: number,
  packing: TernaryPacking = '2bit',
  codesType: CodesType = 'int8',
  order?: TernaryOrder,
): KernelCase {
  return {
    name: `${packing}${order ? ` ${order}` : ''} from ${codesType}, rows ${firstRow} to ${firstRow + rows - 1} of ${matrixRows} x ${cols}`,
    create() {
      const seeded = new Seeded(31)
      return {
        contents: {
          // Any byte is legal I2_S here: a 3 becomes weight 0.
          codes: codesType === 'i2s' ? seeded.int8((rows * cols) / 4) : seeded.codes(rows * cols),
          data: new Uint8Array(ternaryByteLength({ packing, order, rows: matrixRows, cols })).fill(
            0xee,
          ),
          scales: new Float32Array(padToTile(matrixRows)),
        },
        command: ({ codes, data, scales }) => ({
          op: 'pack-ternary',
          rows,
          firstRow,
          codes,
          codesType,
          out: { packing, order, rows: matrixRows, cols, data, scales },
        }),
      }
    },
  }
}

export const cases: readonly KernelCase[] = [
  packCase(1, 1, 0, 1),
  packCase(16, 16, 0, 16),
  packCase(17, 15, 0, 17),
  packCase(40, 33, 5, 3),
  packCase(40, 33, 5, 20),
  packCase(40, 20, 30, 10),
  packCase(48, bitnet2b4t.ffnDim, 16, 32),
  packCase(130, bitnet2b4t.dim, 0, 130),
  packCase(40, 128, 5, 20, '2bit', 'i2s'),
  packCase(40, 768, 30, 10, '2bit', 'i2s'),
  packCase(48, bitnet2b4t.ffnDim, 16, 32, '2bit', 'i2s'),
  packCase(40, 128, 5, 20, 'base3', 'i2s'),
  packCase(48, bitnet2b4t.ffnDim, 16, 32, 'base3', 'i2s'),
  packCase(1, 1, 0, 1, 'base3'),
  packCase(40, 33, 5, 20, 'base3'),
  packCase(40, 20, 30, 10, 'base3'),
  packCase(48, bitnet2b4t.ffnDim, 16, 32, 'base3'),
  ...(['2bit', 'base3'] as const).flatMap((packing) => [
    packCase(96, 79, 0, 96, packing, 'int8', 'gated'),
    packCase(96, 640, 40, 21, packing, 'i2s', 'gated'),
  ]),
  packCase(256, 79, 0, 256, '2bit', 'int8', 'columns'),
  packCase(300, 131, 0, 300, '2bit', 'int8', 'columns'),
  packCase(600, 33, 100, 450, '2bit', 'int8', 'columns'),
  packCase(300, 768, 250, 50, '2bit', 'i2s', 'columns'),
]
