/**
 * The tensors of a decoder in the order in which they are used, each with its names in GGUF files and checkpoints.
 */
import type { ModelFile, TensorInfo } from '../formats/model-file.ts'
import type { ModelConfig } from '../model/config.ts'
import { layerTensorNames, modelTensorNames } from '../model/tensor-names.ts'
import { type MatrixPart, planWeights } from '../model/weight-plan.ts'

export interface NamedTensor {
  /** Its name in a GGUF file. */
  readonly name: string
  /** Its name in a Hugging Face checkpoint. */
  readonly checkpointName: string
  readonly tensor: TensorInfo
  readonly shape: readonly number[]
  /** `linear` is ternary in a ternary model; `table` is the embedding or the head. */
  readonly kind: 'linear' | 'table' | 'norm'
  /** Length of a head whose rows come in interleaved pairs in this file; 0 if in order. */
  readonly interleavedHeadDim: number
  /** Query and key: their rows have an order that depends on the architecture. */
  readonly isRotated: boolean
}

type Names = Pick<NamedTensor, 'name' | 'checkpointName'>

/** @throws FormatError naming a tensor that is missing or of another shape */
export function nameTensors(file: ModelFile, config: ModelConfig): NamedTensor[] {
  const plan = planWeights(file, config)
  const named: NamedTensor[] = []
  const add = (names: Names, rest: Omit<NamedTensor, keyof Names>) =>
    named.push({ ...names, ...rest })
  const matrix = (names: Names, part: MatrixPart, kind: NamedTensor['kind'], isRotated = false) => {
    const { tensor, rows, cols, interleavedHeadDim } = part
    add(names, { tensor, shape: [rows, cols], kind, interleavedHeadDim, isRotated })
  }
  const norm = (names: Names, tensor: TensorInfo | undefined) => {
    if (tensor === undefined) return
    const { shape } = tensor
    add(names, { tensor, shape, kind: 'norm', interleavedHeadDim: 0, isRotated: false })
  }
  const modelNames = (tensor: Parameters<typeof modelTensorNames>[1]): Names => ({
    name: modelTensorNames('gguf', tensor)[0],
    checkpointName: modelTensorNames('safetensors', tensor)[0],
  })

  matrix(modelNames('embedding'), plan.embedding, 'table')
  for (const [i, layer] of plan.layers.entries()) {
    const names = (tensor: Parameters<typeof layerTensorNames>[2]) => layerNames(config, i, tensor)
    norm(names('attentionNorm'), layer.attentionNorm)
    norm(names('queryInputNorm'), layer.qkvInputNorms?.[0])
    matrix(names('query'), layer.qkv[0], 'linear', true)
    norm(names('queryHeadNorm'), layer.headNorms?.[0])
    norm(names('keyInputNorm'), layer.qkvInputNorms?.[1])
    matrix(names('key'), layer.qkv[1], 'linear', true)
    norm(names('keyHeadNorm'), layer.headNorms?.[1])
    norm(names('valueInputNorm'), layer.qkvInputNorms?.[2])
    matrix(names('value'), layer.qkv[2], 'linear')
    norm(names('attentionSubNorm'), layer.attentionSubNorm)
    matrix(names('output'), layer.output[0], 'linear')
    norm(names('attentionPostNorm'), layer.attentionPostNorm)
    norm(names('ffnNorm'), layer.ffnNorm)
    norm(names('gateInputNorm'), layer.gateUpInputNorms?.[0])
    matrix(names('gate'), layer.gateUp[0], 'linear')
    norm(names('upInputNorm'), layer.gateUpInputNorms?.[1])
    matrix(names('up'), layer.gateUp[1], 'linear')
    norm(names('ffnSubNorm'), layer.ffnSubNorm)
    matrix(names('down'), layer.down[0], 'linear')
    norm(names('ffnPostNorm'), layer.ffnPostNorm)
  }
  norm(modelNames('finalNorm'), plan.finalNorm)
  if (plan.head !== undefined) matrix(modelNames('head'), plan.head, 'table')
  return named
}

/** Where a family has its own name for a tensor, the list of names says it second. */
function layerNames(
  { inputNorms, postNorms }: ModelConfig,
  layer: number,
  tensor: Parameters<typeof layerTensorNames>[2],
): Names {
  const gguf = layerTensorNames('gguf', layer, tensor)
  const checkpoint = layerTensorNames('safetensors', layer, tensor)
  const isOwn = (name: string) => postNorms === true || !name.includes('pre_feedforward')
  return {
    name: (inputNorms === true ? gguf.at(-1) : undefined) ?? gguf[0],
    checkpointName: checkpoint.find(isOwn) ?? checkpoint[0],
  }
}
