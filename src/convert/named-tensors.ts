/**
 * The tensors of a decoder in the order in which they are used, each with its names in GGUF files and checkpoints.
 */
import type { ModelFile, TensorInfo } from '../formats/model-file.ts'
import type { ModelConfig } from '../model/config/config.ts'
import { namedBody } from '../model/config/families.ts'
import { type Part, shapeOf, writtenName } from '../model/layers.ts'
import { checkHeadCopy, leftOutTensors } from '../model/weights/account.ts'
import { planWeights } from '../model/weights/weight-plan.ts'

export interface NamedTensor {
  /** Its name in a GGUF file. */
  readonly name: string
  /** Its name in a Hugging Face checkpoint. */
  readonly checkpointName: string
  readonly tensor: TensorInfo
  readonly shape: readonly number[]
  /** `linear` is ternary in a ternary model; `table` is the embedding or the head. */
  readonly kind: Part['kind']
  /** Which expert's; undefined for what all share. */
  readonly expert: number | undefined
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

export interface NamedTensors {
  readonly named: readonly NamedTensor[]
  /** Tensors that change nothing, and that the model does not use. */
  readonly leftOut: readonly string[]
}

/** @throws FormatError naming a tensor that is missing, of another shape, or may not be left out */
export async function nameTensors(file: ModelFile, config: ModelConfig): Promise<NamedTensors> {
  const isShifted = namedBody(config)?.shiftedNorms === true
  const plan = planWeights(file, config)
  await checkHeadCopy(file, config, plan)
  const named = plan.map((part): NamedTensor => {
    const { tensor, kind, expert, interleavedHeadDim, isRotated, canShift } = part
    return {
      name: writtenName('gguf', part, config),
      checkpointName: writtenName('safetensors', part, config),
      shape: shapeOf(part),
      ...{ tensor, kind, expert, interleavedHeadDim, isRotated },
      shift: canShift && config.shiftedNorms ? 1 : 0,
      checkpointShift: canShift && isShifted ? 1 : 0,
    }
  })
  return { named, leftOut: leftOutTensors(file, config, plan) }
}
