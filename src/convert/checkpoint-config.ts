/**
 * config.json of a packed checkpoint: the source's with another quantization_config, or made from a
 * GGUF file's metadata.
 */
import { fromFloat32, type JsonObject } from '../checks.ts'
import { UsageError } from '../errors.ts'
import type { GgufFile, SafetensorsFile } from '../formats/model-file.ts'
import { scaleConventionOf } from '../formats/ternary/index.ts'
import type { ModelConfig } from '../model/config/config.ts'
import { namedBody, ownClass } from '../model/config/families.ts'
import { familyFields } from './family-metadata.ts'

/** What `weight_scale` does to a product: "autobitlinear" multiplies by it, "bitlinear" divides. */
export const LINEAR_CLASSES = ['autobitlinear', 'bitlinear'] as const
export type LinearClass = (typeof LINEAR_CLASSES)[number]

/** The source's own class; where it has packed no weights yet, that of the published 2B-4T. */
export function defaultLinearClass(file: GgufFile | SafetensorsFile): LinearClass {
  if (file.format === 'gguf') return 'autobitlinear'
  const isPacked = [...file.tensors.values()].some(({ type }) => type === 'U8')
  return isPacked && scaleConventionOf(file) === 'divide' ? 'bitlinear' : 'autobitlinear'
}

/**
 * @throws UsageError if transformers has no class for the model
 */
export function checkpointConfig(
  file: GgufFile | SafetensorsFile,
  config: ModelConfig,
  linearClass: LinearClass,
): JsonObject {
  const family = familyClass(file, config)
  const quantization = {
    quantization_config: {
      quant_method: 'bitnet',
      linear_class: linearClass,
      quantization_mode: 'offline',
      modules_to_not_convert: null,
      ...(config.inputNorms && { use_rms_norm: true, rms_norm_eps: fromFloat32(config.normEps) }),
    },
  }
  if (file.format === 'safetensors') {
    const { auto_map: _class, weight_bits: _weights, input_bits: _inputs, ...kept } = file.config
    return { ...kept, ...family, ...quantization }
  }
  return { ...family, ...fromGguf(file, config), ...familyFields(config), ...quantization }
}

function familyClass(file: GgufFile | SafetensorsFile, config: ModelConfig): JsonObject {
  const { architecture, activation, subNorms, inputNorms } = config
  const body = namedBody(config)
  if (body?.classes !== undefined) {
    const { withHead, headless } = body.classes
    const own = file.format === 'safetensors' ? file.config['architectures'] : undefined
    return {
      architectures: own ?? [inputNorms ? headless : withHead],
      model_type: body.modelType,
      ...(body.graph.activation === 'gelu'
        ? { hidden_activation: 'gelu_pytorch_tanh' }
        : { hidden_act: activation }),
    }
  }
  const isLlama = (!subNorms || inputNorms === true) && activation === 'silu'
  if (!isLlama && !subNorms) {
    throw new UsageError(
      `Expected a model with sub-norms or one of Llama's kind, got "${architecture}" with ` +
        `${activation}: transformers has no class for it. Convert it to GGUF instead.`,
    )
  }
  // The reproduction's graph is that of BitNetForCausalLM with SiLU; its own class is in no library.
  return { ...ownClass(isLlama ? 'llama' : 'bitnet', config), hidden_act: activation }
}

function fromGguf({ metadata }: GgufFile, config: ModelConfig): JsonObject {
  const id = (name: string) => metadata.get(`tokenizer.ggml.${name}_token_id`)
  const ids = { bos_token_id: id('bos'), eos_token_id: id('eos'), pad_token_id: id('padding') }
  const known = Object.entries(ids).filter(([, value]) => typeof value === 'number')
  return {
    vocab_size: config.vocabSize,
    hidden_size: config.dim,
    intermediate_size: config.ffnDim,
    num_hidden_layers: config.nLayers,
    num_attention_heads: config.nHeads,
    num_key_value_heads: config.nKvHeads,
    ...(config.headDim * config.nHeads === config.dim ? {} : { head_dim: config.headDim }),
    max_position_embeddings: config.contextLength,
    rms_norm_eps: fromFloat32(config.normEps),
    rope_theta: fromFloat32(config.ropeTheta),
    tie_word_embeddings: config.tiedHead,
    attention_bias: false,
    attention_dropout: 0,
    initializer_range: 0.02,
    ...Object.fromEntries(known),
    use_cache: true,
    torch_dtype: 'bfloat16',
  }
}
