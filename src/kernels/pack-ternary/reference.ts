/**
 * Packs rows of ternary codes into a matrix, rows [firstRow, firstRow + rows). ternary/pack.ts has the
 * layout; this is the operation that loading uses, so that it runs where the matrix lies.
 */
export { packRows } from '../../ternary/index.ts'
