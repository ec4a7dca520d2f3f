/**
 * The tensors of a decoder in the order in which they are used, each with its GGUF name.
 */
import type { ModelFile, TensorInfo } from '../formats/model-file.ts'
import type { ModelConfig } from '../model/config.ts'
import { layerTensorNames, modelTensorNames } from '../model/tensor-names.ts'
import { type MatrixPart, planWeights } from '../model/weight-plan.ts'

export interface NamedTensor {
  /** Its name in a GGUF file. */
  readonly name: string
  readonly tensor: TensorInfo
  readonly shape: readonly number[]
  /** `linear` is ternary in a ternary model; `table` is the embedding or the head. */
  readonly kind: 'linear' | 'table' | 'norm'
  /** Length of a head whose rows come in interleaved pairs in this file; 0 if in order. */
  readonly interleavedHeadDim: number
  /** Query and key: their rows have an order that depends on the architecture. */
  readonly isRotated: boolean
}

/** @throws FormatError naming a tensor that is missing or of another shape */
export function nameTensors(file: ModelFile, config: ModelConfig): NamedTensor[] {
  const plan = planWeights(file, config)
  const named: NamedTensor[] = []
  const matrix = (name: string, part: MatrixPart, kind: NamedTensor['kind'], isRotated = false) =>
    named.push({
      name,
      tensor: part.tensor,
      shape: [part.rows, part.cols],
      kind,
      interleavedHeadDim: part.interleavedHeadDim,
      isRotated,
    })
  const norm = (name: string, tensor: TensorInfo | undefined) => {
    if (tensor === undefined) return
    const { shape } = tensor
    named.push({ name, tensor, shape, kind: 'norm', interleavedHeadDim: 0, isRotated: false })
  }

  matrix(modelTensorNames('gguf', 'embedding')[0], plan.embedding, 'table')
  for (const [i, layer] of plan.layers.entries()) {
    const name = (tensor: Parameters<typeof layerTensorNames>[2]) =>
      layerTensorNames('gguf', i, tensor)[0]
    norm(name('attentionNorm'), layer.attentionNorm)
    matrix(name('query'), layer.qkv[0], 'linear', true)
    matrix(name('key'), layer.qkv[1], 'linear', true)
    matrix(name('value'), layer.qkv[2], 'linear')
    norm(name('attentionSubNorm'), layer.attentionSubNorm)
    matrix(name('output'), layer.output[0], 'linear')
    norm(name('ffnNorm'), layer.ffnNorm)
    matrix(name('gate'), layer.gateUp[0], 'linear')
    matrix(name('up'), layer.gateUp[1], 'linear')
    norm(name('ffnSubNorm'), layer.ffnSubNorm)
    matrix(name('down'), layer.down[0], 'linear')
  }
  norm(modelTensorNames('gguf', 'finalNorm')[0], plan.finalNorm)
  if (plan.head !== undefined) matrix(modelTensorNames('gguf', 'head')[0], plan.head, 'table')
  return named
}
