/**
 * The tensors of a decoder in the order in which they are used, each with its names in GGUF files and checkpoints.
 */
import type { ModelFile, TensorInfo } from '../formats/model-file.ts'
import type { ModelConfig } from '../model/config/config.ts'
import { layerTensorNames, modelTensorNames } from '../model/weights/tensor-names.ts'
import { type MatrixPart, planWeights } from '../model/weights/weight-plan.ts'

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
  /**
   * What is added to a norm's values to get those that it multiplies with, in this file and in a
   * checkpoint of the family; GGUF has 0 always.
   */
  readonly shift: number
  readonly checkpointShift: number
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
    const shape = [rows, cols]
    add(names, { tensor, shape, kind, interleavedHeadDim, isRotated, shift: 0, checkpointShift: 0 })
  }
  // Gemma's own norms may be shifted, those that BitNet adds before a projection are not.
  const norm = (names: Names, tensor: TensorInfo | undefined, isAdded = false) => {
    if (tensor === undefined) return
    const shift = config.shiftedNorms && !isAdded ? 1 : 0
    const checkpointShift = isGemma(config) && !isAdded ? 1 : 0
    const rest = { interleavedHeadDim: 0, isRotated: false, shift, checkpointShift }
    add(names, { tensor, shape: tensor.shape, kind: 'norm', ...rest })
  }
  const modelNames = (tensor: Parameters<typeof modelTensorNames>[1]): Names => ({
    name: modelTensorNames('gguf', tensor)[0],
    checkpointName: modelTensorNames('safetensors', tensor)[0],
  })

  matrix(modelNames('embedding'), plan.embedding, 'table')
  for (const [i, layer] of plan.layers.entries()) {
    const names = (tensor: Parameters<typeof layerTensorNames>[2]) => layerNames(config, i, tensor)
    norm(names('attentionNorm'), layer.attentionNorm)
    norm(names('queryInputNorm'), layer.qkvInputNorms?.[0], true)
    matrix(names('query'), layer.qkv[0], 'linear', true)
    norm(names('queryHeadNorm'), layer.headNorms?.[0])
    norm(names('keyInputNorm'), layer.qkvInputNorms?.[1], true)
    matrix(names('key'), layer.qkv[1], 'linear', true)
    norm(names('keyHeadNorm'), layer.headNorms?.[1])
    norm(names('valueInputNorm'), layer.qkvInputNorms?.[2], true)
    matrix(names('value'), layer.qkv[2], 'linear')
    norm(names('attentionSubNorm'), layer.attentionSubNorm, true)
    matrix(names('output'), layer.output[0], 'linear')
    norm(names('attentionPostNorm'), layer.attentionPostNorm)
    norm(names('ffnNorm'), layer.ffnNorm)
    norm(names('gateInputNorm'), layer.gateUpInputNorms?.[0], true)
    matrix(names('gate'), layer.gateUp[0], 'linear')
    norm(names('upInputNorm'), layer.gateUpInputNorms?.[1], true)
    matrix(names('up'), layer.gateUp[1], 'linear')
    norm(names('ffnSubNorm'), layer.ffnSubNorm, true)
    matrix(names('down'), layer.down[0], 'linear')
    norm(names('ffnPostNorm'), layer.ffnPostNorm)
  }
  norm(modelNames('finalNorm'), plan.finalNorm)
  if (plan.head !== undefined) matrix(modelNames('head'), plan.head, 'table')
  return named
}

/** Whether the body is Gemma 3's. */
export function isGemma({ architecture }: ModelConfig): boolean {
  return architecture === 'gemma3' || architecture === 'gemma3_text'
}

/** The names to write; what a norm before each projection is called is in the lists' last places. */
function layerNames(
  { inputNorms, postNorms }: ModelConfig,
  layer: number,
  tensor: Parameters<typeof layerTensorNames>[2],
): Names {
  const gguf = layerTensorNames('gguf', layer, tensor)
  const checkpoint = layerTensorNames('safetensors', layer, tensor)
  const isOwn = (name: string) => postNorms === true || !name.includes('pre_feedforward')
  const added = (name: string) => inputNorms === true && name.includes('.rms_norm.')
  return {
    name: (inputNorms === true ? gguf.at(-1) : undefined) ?? gguf[0],
    checkpointName: checkpoint.find(added) ?? checkpoint.find(isOwn) ?? checkpoint[0],
  }
}
