/**
 * Packs rows of float32, float16 or bfloat16 values into a dense matrix, rows [firstRow, firstRow +
 * rows): as they are, as f16, or as int8 or int4 with a scale of absmax / 127 a row.
 * dense-matmul/layout.ts has the layout and the arithmetic; this is the operation that loading uses, so
 * that it runs where the matrix lies.
 */
import { float16Table } from '../float16.ts'
import type { ValuesType } from '../storage.ts'

export { packDenseRows } from '../dense-matmul/layout.ts'

/** The first `count` values, decoded; exact. A bfloat16 is the upper half of a float32. */
export function valuesAsFloats(bytes: Uint8Array, type: ValuesType, count: number): Float32Array {
  if (type === 'f32') return new Float32Array(bytes.buffer, bytes.byteOffset, count)
  const halves = new Uint16Array(bytes.buffer, bytes.byteOffset, count)
  if (type === 'bf16')
    return new Float32Array(Uint32Array.from(halves, (bits) => bits << 16).buffer)
  const table = float16Table()
  return Float32Array.from(halves, (bits) => table[bits])
}
