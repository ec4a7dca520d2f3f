/**
 * config.json of a packed checkpoint: the source's with another quantization_config, or made from a
 * GGUF file's metadata.
 */
import { UsageError } from '../errors.ts'
import type { GgufFile, JsonObject, SafetensorsFile } from '../formats/model-file.ts'
import type { ModelConfig } from '../model/config.ts'
import { refuseOtherNorms } from './gguf-metadata.ts'

/** What `weight_scale` does to a product: "autobitlinear" multiplies by it, "bitlinear" divides. */
export type LinearClass = 'autobitlinear' | 'bitlinear'

/** The source's own class; where it has packed no weights yet, that of the published 2B-4T. */
export function defaultLinearClass(file: GgufFile | SafetensorsFile): LinearClass {
  if (file.format === 'gguf') return 'autobitlinear'
  const isPacked = [...file.tensors.values()].some(({ type }) => type === 'U8')
  const quantization = file.config['quantization_config']
  const name = isObject(quantization) ? quantization['linear_class'] : undefined
  return isPacked && name !== 'autobitlinear' ? 'bitlinear' : 'autobitlinear'
}

/**
 * @throws UsageError if transformers has no class for the model
 */
export function checkpointConfig(
  file: GgufFile | SafetensorsFile,
  config: ModelConfig,
  linearClass: LinearClass,
): JsonObject {
  refuseOtherNorms(config, 'safetensors')
  const isLlama = !config.subNorms && config.activation === 'silu'
  if (!isLlama && !config.subNorms) {
    throw new UsageError(
      `Expected a model with sub-norms or one of Llama's kind, got "${config.architecture}" with ` +
        `${config.activation}: transformers has no class for it. Convert it to GGUF instead.`,
    )
  }
  // The reproduction's graph is that of BitNetForCausalLM with SiLU; its own class is in no library.
  const family = {
    architectures: [isLlama ? 'LlamaForCausalLM' : 'BitNetForCausalLM'],
    model_type: isLlama ? 'llama' : 'bitnet',
    hidden_act: config.activation,
  }
  const quantization = {
    quantization_config: {
      quant_method: 'bitnet',
      linear_class: linearClass,
      quantization_mode: 'offline',
      modules_to_not_convert: null,
    },
  }
  if (file.format === 'safetensors') {
    const { auto_map: _class, weight_bits: _weights, input_bits: _inputs, ...kept } = file.config
    return { ...kept, ...family, ...quantization }
  }
  return { ...family, ...fromGguf(file, config), ...quantization }
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
    rms_norm_eps: shortest(config.normEps),
    rope_theta: shortest(config.ropeTheta),
    tie_word_embeddings: config.tiedHead,
    attention_bias: false,
    attention_dropout: 0,
    initializer_range: 0.02,
    ...Object.fromEntries(known),
    use_cache: true,
    torch_dtype: 'bfloat16',
  }
}

/** GGUF keeps float32: 1e-5 there reads as 0.00000999999974; seven digits were meant. */
function shortest(value: number): number {
  return Number(value.toPrecision(7))
}

function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
