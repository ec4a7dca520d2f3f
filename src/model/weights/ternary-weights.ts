/**
 * Loads ternary matrices: from any encoding of a file into the one packed layout, rows of several
 * tensors stacked, each row with its own tensor's scale.
 */

import { FormatError } from '../../errors.ts'
import type { TernaryTensor } from '../../formats/model-file.ts'
import { openTernary } from '../../formats/ternary/index.ts'
import type { TernaryMatrix } from '../../kernels/matrices.ts'
import type { TernaryPacking } from '../../kernels/storage.ts'
import { stackShape } from '../layers.ts'
import { TernaryMatrixWriter } from './matrix-writer.ts'
import { halfOrderRows } from './row-order.ts'
import { chunkRows, rowChunks, type WeightLoading } from './weight-loading.ts'
import type { MatrixPart } from './weight-plan.ts'

/** Loads parts that share their input as one matrix, stacked in order. */
export async function loadTernaryMatrix(
  loading: WeightLoading,
  parts: readonly MatrixPart[],
  packing: TernaryPacking,
  label: string,
): Promise<TernaryMatrix> {
  const writer = new TernaryMatrixWriter(loading.owner, { packing, ...stackShape(parts) }, label)
  for (const part of parts) {
    loading.signal?.throwIfAborted()
    const tensor = await openTernary(loading.file, part.tensor, {
      rows: part.rows,
      rowScales: true,
    })
    checkScale(part, tensor)
    await loadTernaryPart(loading, writer, tensor, part)
    loading.report(part.tensor)
  }
  return await writer.finish()
}

/**
 * Brings the rows of one tensor into the packed layout.
 */
async function loadTernaryPart(
  loading: WeightLoading,
  writer: TernaryMatrixWriter,
  tensor: TernaryTensor,
  part: MatrixPart,
): Promise<void> {
  const { rows, cols, interleavedHeadDim } = part
  const most = chunkRows(rows, cols, interleavedHeadDim)
  const unordered = interleavedHeadDim > 0 ? new Int8Array(most * cols) : undefined
  for (const { row, count } of rowChunks(rows, cols, interleavedHeadDim, loading.signal)) {
    if (tensor.readI2s && !unordered) {
      const bytes = await tensor.readI2s(row, count)
      const staged = await writer.roomForI2s(count)
      staged.set(bytes)
      await writer.commit(count, tensor.scale)
      continue
    }
    const room = await writer.room(count)
    const codes = unordered?.subarray(0, count * cols) ?? room
    await tensor.readCodes(row, count, codes)
    if (unordered) halfOrderRows(room, codes, interleavedHeadDim, cols)
    await writer.commit(count, scalesOf(tensor, row, count, interleavedHeadDim))
  }
}

/** The scale of some rows, or theirs in the order in which the rows are packed. */
function scalesOf(
  { scale, rowScales }: TernaryTensor,
  row: number,
  count: number,
  interleavedHeadDim: number,
): number | Float32Array {
  const scales = rowScales?.subarray(row, row + count)
  if (scales === undefined || interleavedHeadDim === 0) return scales ?? scale
  const ordered = new Float32Array(count)
  halfOrderRows(ordered, scales, interleavedHeadDim, 1)
  return ordered
}

function checkScale(part: MatrixPart, tensor: TernaryTensor): void {
  const isSame = tensor.rows === part.rows && tensor.cols === part.cols
  if (isSame && Number.isFinite(tensor.scale)) return
  throw new FormatError(
    `Expected "${tensor.name}" to be (${part.rows}, ${part.cols}) with a finite scale, got ` +
      `(${tensor.rows}, ${tensor.cols}) and scale ${tensor.scale}. The file is damaged.`,
    { field: tensor.name, path: part.tensor.source.name },
  )
}
