/**
 * Loads dense matrices and vectors: embedding, head, norms and the projections of dense models.
 *
 * Precision in memory: f16 holds bf16 and f16 sources (bf16 exactly but for values beyond 65,504,
 * which make the whole matrix f32, and below 2^-17, which lose bits no result can show). f16 and bf16
 * values go to the backend as they are, which packs them; all others decode first. int8 and int4 are
 * choices for embedding and head.
 */

import { FormatError, UsageError } from '../../errors.ts'
import { decodeDense } from '../../formats/dense-codecs.ts'
import { asUint16 } from '../../formats/float-codecs.ts'
import type { TensorInfo } from '../../formats/model-file.ts'
import { hasRowScales } from '../../kernels/dense-matmul/layout.ts'
import { float16ToFloat32 } from '../../kernels/float16.ts'
import type { DenseMatrix } from '../../kernels/matrices.ts'
import { type DeviceBuffer, sliceOf } from '../../kernels/slice.ts'
import type { DenseType, ValuesType } from '../../kernels/storage.ts'
import { bytesOf } from '../buffer-owner.ts'
import { stackShape } from '../layers.ts'
import { denseWriter } from './matrix-writer.ts'
import type { WeightLoading } from './weight-loading.ts'
import type { MatrixPart } from './weight-plan.ts'

/** Largest finite half. */
const MAX_FLOAT16 = 65504
/** No trained weight is near it; squares and sums of larger ones leave float32, and results are zeros. */
const MAX_VALUE = 2 ** 30

/** Elements from which reading half the bytes of embedding and head matters more than their f16. */
const LARGE_TABLE = 1 << 25

export const HEAD_TYPES = ['f16', 'int8', 'int4'] as const

/** Precisions of embedding and head that can be asked for. */
export type HeadType = (typeof HEAD_TYPES)[number]

/**
 * How embedding and head are held, if not as asked: int8 from 2^25 elements on, where decoding is bound
 * by reading the head (+0.01 perplexity on BitNet 2B-4T); below that the file's own precision, f32 for
 * an F32 tensor and f16 for all others.
 *
 * @throws UsageError if something else is asked for
 */
export function tableType(part: MatrixPart, asked: HeadType | undefined): DenseType {
  if (asked !== undefined) {
    if (HEAD_TYPES.includes(asked)) return asked
    throw new UsageError(`Expected head to be ${HEAD_TYPES.join(', ')}, got "${asked}".`)
  }
  if (part.rows * part.cols >= LARGE_TABLE) return 'int8'
  return projectionType([part])
}

/** How the projections of a dense model are held: f32 if any part is F32, else f16. */
export function projectionType(parts: readonly MatrixPart[]): DenseType {
  return parts.some((part) => part.tensor.type === 'F32') ? 'f32' : 'f16'
}

/** Loads parts that share their input as one matrix, stacked in order. */
export async function loadDenseMatrix(
  loading: WeightLoading,
  parts: readonly MatrixPart[],
  type: DenseType,
  label: string,
): Promise<DenseMatrix> {
  const writer = denseWriter(loading.owner, { type, ...stackShape(parts) }, label)
  for (const part of parts) {
    if (!(await appendDensePart(writer, part, type, loading.signal))) {
      // Rare, and only known after reading: start again with room for all values.
      await writer.abandon()
      return loadDenseMatrix(loading, parts, 'f32', label)
    }
  }
  const matrix = await writer.finish()
  await checkRowScales(loading, matrix, parts)
  for (const { tensor } of parts) loading.report(tensor)
  return matrix
}

/** @returns false if a value does not fit f16 */
async function appendDensePart(
  writer: ReturnType<typeof denseWriter>,
  part: MatrixPart,
  type: DenseType,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  const { tensor, rows } = part
  const rowBytes = tensor.byteLength / rows
  if (!Number.isInteger(rowBytes)) {
    throw new FormatError(
      `Expected rows of "${tensor.name}" to fill whole blocks, got ${tensor.byteLength} bytes for ` +
        `${rows} rows of ${tensor.type}.`,
      { field: tensor.name, path: tensor.source.name },
    )
  }
  const valuesType = valuesTypeOf(tensor)
  for await (const { row, count, room } of writer.pieces(part, valuesType, signal)) {
    const bytes = await tensor.source.read(tensor.offset + row * rowBytes, count * rowBytes)
    const values = await room()
    if (values instanceof Float32Array) decodeDense(tensor.type, bytes, values)
    else values.set(asUint16(bytes))
    // Rows with a scale are checked by it, when all are packed.
    if (!hasRowScales(type)) {
      const largest = largestMagnitude(values, valuesType)
      if (!(largest <= MAX_VALUE)) throw tooLarge(tensor)
      if (type === 'f16' && largest > MAX_FLOAT16) return false
    }
  }
  return true
}

/** What a tensor's values are packed from. */
function valuesTypeOf({ type }: TensorInfo): ValuesType {
  if (type === 'F16') return 'f16'
  return type === 'BF16' ? 'bf16' : 'f32'
}

/**
 * The scale of a row is as its largest value.
 *
 * @throws FormatError naming the first tensor with a value that is too large or none
 */
async function checkRowScales(
  loading: WeightLoading,
  { rows, scales }: DenseMatrix,
  parts: readonly MatrixPart[],
): Promise<void> {
  if (scales === undefined) return
  const { buffer } = await loading.owner.backend.read(
    sliceOf(scales.buffer, scales.byteOffset, rows * 4),
  )
  const row = new Float32Array(buffer).findIndex((scale) => !(scale <= MAX_VALUE))
  let end = 0
  for (const part of parts) {
    end += part.rows
    if (row >= 0 && row < end) throw tooLarge(part.tensor)
  }
}

/**
 * Loads a vector as float32.
 *
 * @param shift what is added to each value
 */
export async function loadVector(
  loading: WeightLoading,
  tensor: TensorInfo,
  shift = 0,
): Promise<DeviceBuffer> {
  loading.signal?.throwIfAborted()
  const values = new Float32Array(tensor.shape[0])
  decodeDense(tensor.type, await tensor.source.read(tensor.offset, tensor.byteLength), values)
  if (!(largestMagnitude(values, 'f32') <= MAX_VALUE)) throw tooLarge(tensor)
  if (shift !== 0) for (let i = 0; i < values.length; i++) values[i] += shift
  const buffer = loading.owner.allocate(values.byteLength, tensor.name)
  loading.owner.backend.write(buffer, 0, bytesOf(values))
  loading.report(tensor)
  return buffer
}

/** NaN or infinity if one of the values is that. */
function largestMagnitude(values: Float32Array | Uint16Array, type: ValuesType): number {
  // Without the sign, floats are ordered as their bits are, infinities and NaN above all numbers.
  let largest = 0
  if (values instanceof Uint16Array) {
    for (let i = 0; i < values.length; i++) {
      const magnitude = values[i] & 0x7fff
      if (magnitude > largest) largest = magnitude
    }
    if (type === 'f16') return float16ToFloat32(largest)
    largest <<= 16
  } else {
    const bits = new Int32Array(values.buffer, values.byteOffset, values.length)
    for (let i = 0; i < bits.length; i++) {
      const magnitude = bits[i] & 0x7fffffff
      if (magnitude > largest) largest = magnitude
    }
  }
  return new Float32Array(Int32Array.of(largest).buffer)[0]
}

/** One such value would spoil every result. */
function tooLarge(tensor: TensorInfo): FormatError {
  return new FormatError(
    `Expected numbers up to 2^30 in tensor "${tensor.name}" of ${tensor.source.name}, got a larger one, ` +
      'an infinity or NaN. The file is damaged; fetch it again.',
    { field: tensor.name, path: tensor.source.name },
  )
}
