/**
 * Packs rows of float32 values into a dense matrix, rows [firstRow, firstRow + rows): as they are, as
 * f16, or as int8 with a scale of absmax / 127 a row. dense-matmul/layout.ts has the layout and the
 * arithmetic; this is the operation that loading uses, so that it runs where the matrix lies.
 */
export { packDenseRows } from '../dense-matmul/layout.ts'
