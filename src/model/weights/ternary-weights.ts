/**
 * Loads ternary matrices: from any encoding of a file into the one packed layout, rows of several
 * tensors stacked, each row with its own tensor's scale.
 */

import { FormatError } from '../../errors.ts'
import type { TernaryTensor } from '../../formats/model-file.ts'
import { openTernary } from '../../formats/ternary/index.ts'
import type { TernaryMatrix } from '../../kernels/matrices.ts'
import { padToTile } from '../../ternary/index.ts'
import { stackShape } from '../layers.ts'
import type { TernaryForm } from './build-weights.ts'
import { halfOrderRows, ternaryWriter } from './matrix-writer.ts'
import type { WeightLoading } from './weight-loading.ts'
import type { MatrixPart } from './weight-plan.ts'

/** Loads parts that share their input as one matrix, stacked in order. */
export async function loadTernaryMatrix(
  { file, owner, signal, report }: WeightLoading,
  parts: readonly MatrixPart[],
  form: TernaryForm,
  label: string,
): Promise<TernaryMatrix> {
  const shape = stackShape(parts)
  const writer = ternaryWriter(owner, { ...form, ...shape }, label)
  const scales = new Float32Array(padToTile(shape.rows))
  let first = 0
  for (const part of parts) {
    signal?.throwIfAborted()
    const { rows, interleavedHeadDim } = part
    const tensor = await openTernary(file, part.tensor, { rows, rowScales: true })
    checkScale(part, tensor)
    const { readI2s } = tensor
    if (readI2s && interleavedHeadDim === 0) {
      for await (const { row, count, room } of writer.pieces(part, 'i2s', signal)) {
        const bytes = await readI2s(row, count)
        ;(await room()).set(bytes)
      }
    } else {
      for await (const { row, count, room } of writer.pieces(part, 'int8', signal)) {
        await tensor.readCodes(row, count, await room())
      }
    }
    setScales(scales.subarray(first, first + rows), tensor, interleavedHeadDim)
    first += rows
    report(part.tensor)
  }
  return await writer.finish(scales)
}

/** The scale of all rows, or one each in the order in which they are packed. */
function setScales(
  out: Float32Array,
  { scale, rowScales }: TernaryTensor,
  interleavedHeadDim: number,
): void {
  if (rowScales === undefined) out.fill(scale)
  else if (interleavedHeadDim > 0) halfOrderRows(out, rowScales, interleavedHeadDim, 1)
  else out.set(rowScales)
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
