/**
 * The buffers of a packed matrix: how many bytes each takes, whatever is behind them.
 */

import type { BufferUse } from '../../backends/backend.ts'
import { denseByteLength, hasRowScales } from '../../kernels/dense-matmul/layout.ts'
import { type DenseMatrix, type TernaryMatrix, ternaryByteLength } from '../../kernels/matrices.ts'
import type { DeviceBuffer } from '../../kernels/slice.ts'
import { padToTile } from '../../ternary/index.ts'

export type Allocate = (byteLength: number, label: string, use?: BufferUse) => DeviceBuffer
export type TernaryShape = Pick<TernaryMatrix, 'packing' | 'rows' | 'cols'>
export type DenseShape = Pick<DenseMatrix, 'type' | 'rows' | 'cols'>

export function ternaryBuffers(
  allocate: Allocate,
  shape: TernaryShape,
  label: string,
): TernaryMatrix {
  const data = allocate(ternaryByteLength(shape), label, 'weights')
  const scales = allocate(padToTile(shape.rows) * 4, `${label} scales`)
  return { ...shape, data, scales }
}

export function denseBuffers(allocate: Allocate, shape: DenseShape, label: string): DenseMatrix {
  const { type, rows, cols } = shape
  const data = allocate(denseByteLength(type, rows, cols), label, 'weights')
  const scales = hasRowScales(type) ? allocate(padToTile(rows) * 4, `${label} scales`) : undefined
  return { type, rows, cols, data, scales }
}
