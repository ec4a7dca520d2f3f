/**
 * Which tensors of a file make up a decoder, found and checked before anything is allocated, so that
 * an incomplete file fails at once and progress knows its total.
 */
import { FormatError } from '../../errors.ts'
import type { ModelFile, TensorInfo } from '../../formats/model-file.ts'
import { BLOCK_SIZES, elementCount, I2_S_TAIL } from '../../formats/tensor-types.ts'
import type { ModelConfig } from '../config/config.ts'
import { type Part, partsOf, shapeOf, tensorNames } from '../layers.ts'
import { checkType, refuseRest } from './account.ts'

/** One of the tensors stacked into a matrix. */
export interface MatrixPart {
  readonly tensor: TensorInfo
  readonly rows: number
  readonly cols: number
  /** Length of a head whose rows are stored in interleaved pairs; 0 if they are in order. */
  readonly interleavedHeadDim: number
}

/** A part and where a file has it. */
export type PlannedPart = Part & Pick<MatrixPart, 'tensor' | 'interleavedHeadDim'>

/**
 * @throws FormatError naming a tensor that is missing, of another shape or type, or one that the model
 *   would leave out
 */
export function planWeights(file: ModelFile, config: ModelConfig): PlannedPart[] {
  const planned = locateParts(file, config)
  refuseRest(file, config, planned)
  return planned
}

/** As {@link planWeights}, whatever else the file holds. */
export function locateParts(file: ModelFile, config: ModelConfig): PlannedPart[] {
  const isInterleaved = file.format === 'gguf' && config.architecture === 'llama'
  return partsOf(config).map((part): PlannedPart => {
    const tensor = findTensor(file, part)
    checkType(file, config, part.kind, tensor)
    const { role, layer, expert, kind, stack, rows, cols, isRotated, canShift } = part
    const interleavedHeadDim = isInterleaved && isRotated ? config.headDim : 0
    // One by one: models have hundreds of parts, and copies of whole objects take three times as long.
    return {
      ...{ role, layer, expert, kind, stack, rows, cols },
      ...{ isRotated, canShift, tensor, interleavedHeadDim },
    }
  })
}

/**
 * Packed bytes (type U8) hold four rows in one, so their first dimension is a quarter of the part's.
 *
 * @throws FormatError naming the tensor if it is missing or of another shape than the configuration's
 */
function findTensor(file: ModelFile, part: Part): TensorInfo {
  const names = tensorNames(file.format, part)
  const tensor = tensorOf(file, part)
  if (tensor === undefined) throw missing(file, names)
  const shape = shapeOf(part)
  const stored = tensor.type === 'U8' ? [Math.ceil(shape[0] / 4), ...shape.slice(1)] : shape
  const isEqual =
    tensor.shape.length === stored.length && stored.every((n, i) => tensor.shape[i] === n)
  if (!isEqual) {
    throw new FormatError(
      `Expected tensor "${tensor.name}" of ${file.name} to have shape (${stored.join(', ')}), got ` +
        `(${tensor.shape.join(', ')}). The file disagrees with its own configuration.`,
      { field: tensor.name, path: file.name },
    )
  }
  return tensor
}

/** What a file has for a part, whatever its shape: an expert's may be one matrix of a tensor of three dimensions. */
export function tensorOf(file: ModelFile, part: Part): TensorInfo | undefined {
  const tensor = tensorNames(file.format, part)
    .map((name) => file.tensors.get(name))
    .find((found) => found !== undefined)
  const { expert } = part
  return tensor && expert !== undefined ? (matrixOf(tensor, expert) ?? tensor) : tensor
}

/** One matrix of a tensor (matrices, rows, cols); undefined if it has not that many, or not whole blocks in each. */
function matrixOf(tensor: TensorInfo, index: number): TensorInfo | undefined {
  const [count, ...shape] = tensor.shape
  if (shape.length !== 2 || index >= count) return undefined
  const tail = tensor.type === 'I2_S' ? I2_S_TAIL : 0
  const step = (tensor.byteLength - tail) / count
  if (!Number.isInteger(step) || elementCount(shape) % BLOCK_SIZES[tensor.type].elements !== 0) {
    return undefined
  }
  const offset = tensor.offset + index * step
  const tailOffset = tensor.offset + count * step
  return {
    ...tensor,
    shape,
    offset,
    byteLength: step + tail,
    ofStack: { index, count, tailOffset },
  }
}

/** It may be there, in a type that is not read. */
function missing(file: ModelFile, names: readonly string[]): FormatError {
  const unread = names.map((name) => file.unread?.get(name)).find((found) => found !== undefined)
  if (unread !== undefined) {
    const { name, type, shape, note } = unread
    const [readable, advice] =
      file.format === 'gguf'
        ? ['a type that is read', 'Convert the original checkpoint to I2_S or TQ2_0 instead.']
        : ['F32, F16, BF16 or packed U8', 'Take the original checkpoint, or a GGUF file.']
    return new FormatError(
      `Expected tensor "${name}" of ${file.name} in ${readable}, got ${type} of [${shape}]${note}, ` +
        `which is not read. ${advice}`,
      { field: name, path: file.name },
    )
  }
  return new FormatError(
    `Expected a tensor "${names.join('" or "')}" in ${file.name}, found none of that name among ` +
      `${file.tensors.size}. The file is incomplete or of another family than it says.`,
    { field: names[0], path: file.name },
  )
}
