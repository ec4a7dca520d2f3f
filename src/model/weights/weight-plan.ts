/**
 * Which tensors of a file make up a decoder, found and checked before anything is allocated, so that
 * an incomplete file fails at once and progress knows its total.
 */
import { FormatError } from '../../errors.ts'
import type { ModelFile, TensorInfo } from '../../formats/model-file.ts'
import type { ModelConfig } from '../config/config.ts'
import {
  findTensor,
  type LayerMatrix,
  type LayerNorm,
  layerTensorNames,
  type ModelTensor,
  modelTensorNames,
} from './tensor-names.ts'

/** One of the tensors stacked into a matrix. */
export interface MatrixPart {
  readonly tensor: TensorInfo
  readonly rows: number
  readonly cols: number
  /** Length of a head whose rows are stored in interleaved pairs; 0 if they are in order. */
  readonly interleavedHeadDim: number
}

export interface LayerPlan {
  readonly attentionNorm: TensorInfo
  /** Query, key, value. */
  readonly qkv: readonly MatrixPart[]
  /** Norms of the inputs of query, key and value; of gate and up below. */
  readonly qkvInputNorms: readonly TensorInfo[] | undefined
  /** Norms of query heads and of key heads. */
  readonly headNorms: readonly [query: TensorInfo, key: TensorInfo] | undefined
  readonly attentionSubNorm: TensorInfo | undefined
  readonly output: readonly MatrixPart[]
  readonly attentionPostNorm: TensorInfo | undefined
  readonly ffnNorm: TensorInfo
  /** Gate, up. */
  readonly gateUp: readonly MatrixPart[]
  readonly gateUpInputNorms: readonly TensorInfo[] | undefined
  readonly ffnSubNorm: TensorInfo | undefined
  readonly down: readonly MatrixPart[]
  readonly ffnPostNorm: TensorInfo | undefined
}

export interface WeightPlan {
  readonly embedding: MatrixPart
  readonly layers: readonly LayerPlan[]
  readonly finalNorm: TensorInfo
  /** Undefined where the head is tied to the embedding. */
  readonly head: MatrixPart | undefined
  /** Bytes of all these tensors in the file. */
  readonly totalBytes: number
}

/** @throws FormatError naming a tensor that is missing or of another shape */
export function planWeights(file: ModelFile, config: ModelConfig): WeightPlan {
  const { dim, headDim, nHeads, nKvHeads, ffnDim, vocabSize } = config
  const { subNorms, inputNorms, headNorms, postNorms } = config
  const isInterleaved = file.format === 'gguf' && config.architecture === 'llama'
  let totalBytes = 0
  const find = (names: readonly string[], shape: readonly number[]): TensorInfo => {
    const tensor = findTensor(file, names, shape)
    totalBytes += tensor.byteLength
    return tensor
  }
  const part = (
    names: readonly string[],
    rows: number,
    cols: number,
    interleavedHeadDim = 0,
  ): MatrixPart => ({ tensor: find(names, [rows, cols]), rows, cols, interleavedHeadDim })
  const table = (name: ModelTensor) => part(modelTensorNames(file.format, name), vocabSize, dim)

  const embedding = table('embedding')
  const layers = Array.from({ length: config.nLayers }, (_, layer): LayerPlan => {
    const matrix = (name: LayerMatrix, rows: number, cols: number, interleaved = 0) =>
      part(layerTensorNames(file.format, layer, name), rows, cols, interleaved)
    const norm = (name: LayerNorm, cols: number) =>
      find(layerTensorNames(file.format, layer, name), [cols])
    const rotated = isInterleaved ? headDim : 0
    return {
      attentionNorm: norm('attentionNorm', dim),
      qkv: [
        matrix('query', nHeads * headDim, dim, rotated),
        matrix('key', nKvHeads * headDim, dim, rotated),
        matrix('value', nKvHeads * headDim, dim),
      ],
      qkvInputNorms: inputNorms
        ? [norm('queryInputNorm', dim), norm('keyInputNorm', dim), norm('valueInputNorm', dim)]
        : undefined,
      headNorms: headNorms
        ? [norm('queryHeadNorm', headDim), norm('keyHeadNorm', headDim)]
        : undefined,
      attentionSubNorm: subNorms ? norm('attentionSubNorm', nHeads * headDim) : undefined,
      output: [matrix('output', dim, nHeads * headDim)],
      attentionPostNorm: postNorms ? norm('attentionPostNorm', dim) : undefined,
      ffnNorm: norm('ffnNorm', dim),
      gateUp: [matrix('gate', ffnDim, dim), matrix('up', ffnDim, dim)],
      gateUpInputNorms: inputNorms
        ? [norm('gateInputNorm', dim), norm('upInputNorm', dim)]
        : undefined,
      ffnSubNorm: subNorms ? norm('ffnSubNorm', ffnDim) : undefined,
      down: [matrix('down', dim, ffnDim)],
      ffnPostNorm: postNorms ? norm('ffnPostNorm', dim) : undefined,
    }
  })
  refuseOtherNorms(file, config)
  const finalNorm = find(modelTensorNames(file.format, 'finalNorm'), [dim])
  const head = config.tiedHead ? undefined : table('head')
  return { embedding, layers, finalNorm, head, totalBytes }
}

/** A norm that the configuration does not know of would silently be left out. */
function refuseOtherNorms(file: ModelFile, config: ModelConfig): void {
  const unknown: LayerNorm[] = []
  if (!config.subNorms) unknown.push('attentionSubNorm', 'ffnSubNorm')
  if (!config.inputNorms) unknown.push('queryInputNorm', 'gateInputNorm')
  if (!config.headNorms) unknown.push('queryHeadNorm', 'keyHeadNorm')
  if (!config.postNorms) unknown.push('ffnPostNorm')
  const names = unknown.flatMap((norm) => layerTensorNames(file.format, 0, norm))
  const found = names.find((name) => file.tensors.has(name))
  if (found === undefined) return
  throw new FormatError(
    `Expected no tensor "${found}" in ${file.name}, as architecture "${config.architecture}" has ` +
      'no such norm. The file is of another family than it says.',
    { field: found, path: file.name },
  )
}
