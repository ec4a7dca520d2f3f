/**
 * Which tensors of a file make up a decoder, found and checked before anything is allocated, so that
 * an incomplete file fails at once and progress knows its total.
 */
import { FormatError } from '../../errors.ts'
import type { ModelFile, TensorInfo } from '../../formats/model-file.ts'
import type { ModelConfig } from '../config/config.ts'
import { absentNorms, type Part, partsOf, shapeOf, tensorNames } from '../layers.ts'

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

/** @throws FormatError naming a tensor that is missing, of another shape, or of another family */
export function planWeights(file: ModelFile, config: ModelConfig): PlannedPart[] {
  const isInterleaved = file.format === 'gguf' && config.architecture === 'llama'
  const planned = partsOf(config).map((part): PlannedPart => {
    const tensor = findTensor(file, part)
    const { role, layer, kind, stack, rows, cols, isRotated, canShift } = part
    const interleavedHeadDim = isInterleaved && isRotated ? config.headDim : 0
    // One by one: models have hundreds of parts, and copies of whole objects take three times as long.
    return { role, layer, kind, stack, rows, cols, isRotated, canShift, tensor, interleavedHeadDim }
  })
  refuseOtherNorms(file, config, planned)
  return planned
}

/**
 * Packed bytes (type U8) hold four rows in one, so their first dimension is a quarter of the part's.
 *
 * @throws FormatError naming the tensor if it is missing or of another shape than the configuration's
 */
function findTensor(file: ModelFile, part: Part): TensorInfo {
  const names = tensorNames(file.format, part.role, part.layer)
  const tensor = names.map((name) => file.tensors.get(name)).find((found) => found !== undefined)
  if (tensor === undefined) {
    throw new FormatError(
      `Expected a tensor "${names.join('" or "')}" in ${file.name}, found none of that name among ` +
        `${file.tensors.size}. The file is incomplete or of another family than it says.`,
      { field: names[0], path: file.name },
    )
  }
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

/** A norm that the configuration does not know of would silently be left out. */
function refuseOtherNorms(
  file: ModelFile,
  config: ModelConfig,
  planned: readonly PlannedPart[],
): void {
  const used = new Set(planned.map(({ tensor }) => tensor.name))
  const found = absentNorms(config)
    .flatMap((role) => tensorNames(file.format, role, 0))
    .find((name) => file.tensors.has(name) && !used.has(name))
  if (found === undefined) return
  throw new FormatError(
    `Expected no tensor "${found}" in ${file.name}, as architecture "${config.architecture}" has ` +
      'no such norm. The file is of another family than it says.',
    { field: found, path: file.name },
  )
}
