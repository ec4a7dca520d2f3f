/**
 * Packs rows of ternary codes into a matrix, rows [firstRow, firstRow + rows). ternary/pack.ts and
 * ternary/base3.ts have the layouts; this is the operation that loading uses, so that it runs where the matrix lies.
 */
export { packBase3Rows, packRows } from '../../ternary/index.ts'
