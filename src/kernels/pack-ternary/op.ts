import { BASE3_TILE, padToTile, TILE } from '../../ternary/index.ts'
import { defineOp } from '../define-op.ts'
import { type TernaryMatrix, ternaryCodes } from '../matrices.ts'
import { bytes } from '../operand-kinds.ts'
import type { BufferSlice } from '../slice.ts'
import { CODES_TYPES, type CodesType } from '../storage.ts'
import { packBase3Rows, packColumns, packGatedRows, packRows, unpackI2s } from './reference.ts'

/**
 * Loading: packs `rows` rows of codes (rows, out.cols) into the matrix, from `firstRow` on. The
 * matrix's scales are not touched.
 */
export interface PackTernaryCommand {
  readonly op: 'pack-ternary'
  readonly rows: number
  readonly firstRow: number
  readonly codes: BufferSlice
  /**
   * int8 codes, or a file's own I2_S bytes, four codes each, for matrices of whole blocks of 128
   * columns. Unset: int8.
   */
  readonly codesType?: CodesType | undefined
  readonly out: TernaryMatrix
}

function codesByteLength({ rows, out, codesType }: PackTernaryCommand): number {
  return (rows * out.cols) / (codesType === 'i2s' ? 4 : 1)
}

export const packTernary = defineOp<PackTernaryCommand>()({
  name: 'pack-ternary',
  operands: { codes: bytes(codesByteLength), out: ternaryCodes('update') },
  check(check, { rows, firstRow, codesType = 'int8', out }) {
    check.oneOf('codesType', codesType, CODES_TYPES)
    if (codesType === 'i2s' && out.cols % 128 !== 0) {
      check.fail('out.cols', 'a multiple of 128 for i2s codes', out.cols)
    }
    check.first('firstRow', firstRow, out.rows - rows)
  },
  integers: {
    firstRow: (c) => c.firstRow,
    codesType: ({ codesType = 'int8' }) => CODES_TYPES.indexOf(codesType),
  },
  reference(m, c) {
    const codes = m.codes.subarray(0, codesByteLength(c))
    const signed =
      c.codesType === 'i2s'
        ? unpackI2s(codes)
        : new Int8Array(codes.buffer, codes.byteOffset, codes.byteLength)
    const { packing, order } = c.out
    if (order === 'gated') packGatedRows(m.out, signed, c.rows, c.firstRow, packing)
    else if (order === 'columns') packColumns(m.out, signed, c.rows, c.firstRow)
    else if (packing === 'base3') packBase3Rows(m.out, signed, c.rows, c.firstRow)
    else packRows(m.out, signed, c.rows, c.firstRow)
  },
  agreement: 'exact',
  workgroups({ rows, firstRow, out: { order = 'stripes', packing, ...out } }) {
    if (order !== 'stripes') return undefined
    return [
      Math.ceil(out.cols / (packing === 'base3' ? BASE3_TILE : TILE) / 64),
      firstRow + rows === out.rows ? padToTile(out.rows) - firstRow : rows,
    ]
  },
})
