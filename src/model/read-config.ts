/**
 * From a file's own description of a model to a {@link ModelConfig}.
 *
 * Families: BitNet b1.58 2B-4T (squared ReLU, sub-norms), the 1bitLLM reproduction (SiLU, sub-norms),
 * Llama-style ternary models (SiLU, no sub-norms), and dense Llama as the baseline to compare with.
 */
import { FormatError } from '../errors.ts'
import type { GgufFile, JsonObject, SafetensorsFile } from '../formats/model-file.ts'
import type { Activation } from '../kernels/commands.ts'
import type { ModelConfig } from './config.ts'
import {
  CONFIG_LIMITS,
  type ConfigFields,
  checkConfig,
  configError,
  describe,
  isAbsent,
  readBoolean,
  readInteger,
  readNumber,
  readString,
  refuse,
} from './config-fields.ts'

type Family = Pick<ModelConfig, 'activation' | 'subNorms' | 'linear'>

const BITNET: Family = { activation: 'relu2', subNorms: true, linear: 'ternary' }
const REPRODUCTION: Family = { activation: 'silu', subNorms: true, linear: 'ternary' }
const TERNARY_LLAMA: Family = { activation: 'silu', subNorms: false, linear: 'ternary' }
const DENSE_LLAMA: Family = { activation: 'silu', subNorms: false, linear: 'dense' }

/**
 * The configuration of an opened model, whatever its format.
 *
 * @throws FormatError naming the field that is missing, out of range or not supported
 */
export function readConfig(file: GgufFile | SafetensorsFile): ModelConfig {
  return file.format === 'gguf'
    ? configFromGguf(file)
    : configFromHuggingFace(file.config, file.name)
}

/**
 * Reads a config.json of Hugging Face transformers.
 *
 * @param name what to call the model, e.g. its folder
 * @throws FormatError
 */
export function configFromHuggingFace(json: JsonObject, name: string): ModelConfig {
  const fields: ConfigFields = { source: name, get: (key) => ownField(json, key) }
  const modelType = readString(fields, 'model_type')
  if (modelType === undefined) throw configError(fields, 'model_type', 'a string', 'nothing')
  const family = huggingFaceFamily(fields, modelType)

  refuse(fields, 'attention_bias', readBoolean(fields, 'attention_bias', false), 'biases')
  refuse(fields, 'mlp_bias', readBoolean(fields, 'mlp_bias', false), 'biases')
  const partial = readNumber(fields, 'partial_rotary_factor', { min: 0, max: 1 }, 1)
  refuse(fields, 'partial_rotary_factor', partial !== 1, 'rotation of a part of each head')

  const rope = ropeParameters(fields)
  const dim = readInteger(fields, 'hidden_size', CONFIG_LIMITS.dim)
  const nHeads = readInteger(fields, 'num_attention_heads', CONFIG_LIMITS.heads)
  const config: ModelConfig = {
    architecture: modelType,
    name: lastPathPart(name),
    dim,
    nLayers: readInteger(fields, 'num_hidden_layers', CONFIG_LIMITS.layers),
    nHeads,
    nKvHeads: readInteger(fields, 'num_key_value_heads', CONFIG_LIMITS.heads, nHeads),
    headDim: readInteger(fields, 'head_dim', CONFIG_LIMITS.headDim, dim / nHeads),
    ffnDim: readInteger(fields, 'intermediate_size', CONFIG_LIMITS.ffnDim),
    vocabSize: readInteger(fields, 'vocab_size', CONFIG_LIMITS.vocabSize),
    // Both defaults are those of the configuration class in transformers.
    contextLength: readInteger(
      fields,
      'max_position_embeddings',
      CONFIG_LIMITS.contextLength,
      2048,
    ),
    ropeTheta: readNumber(
      rope,
      'rope_theta',
      CONFIG_LIMITS.ropeTheta,
      modelType === 'bitnet' ? 500000 : 10000,
    ),
    normEps: readNumber(fields, 'rms_norm_eps', CONFIG_LIMITS.normEps, 1e-5),
    activation: hiddenActivation(fields, family.activation),
    subNorms: family.subNorms,
    tiedHead: readBoolean(fields, 'tie_word_embeddings', false),
    linear: family.linear,
  }
  return checkConfig(fields, config, { headDim: 'head_dim', nKvHeads: 'num_key_value_heads' })
}

/** Which graph a config.json means. */
function huggingFaceFamily(fields: ConfigFields, modelType: string): Family {
  const quantization = fields.get('quantization_config')
  const method = isJsonObject(quantization) ? quantization['quant_method'] : undefined
  if (isJsonObject(quantization)) {
    refuse(fields, 'quantization_config', method !== 'bitnet', `${describe(method)} weights`)
    const perProjectionNorms = quantization['use_rms_norm'] === true
    refuse(fields, 'use_rms_norm', perProjectionNorms, 'a norm before each projection')
    const kept = quantization['modules_to_not_convert']
    const keptMore = Array.isArray(kept) && kept.some((name) => name !== 'lm_head')
    refuse(fields, 'modules_to_not_convert', keptMore, 'some projections kept dense')
  }
  if (modelType === 'bitnet') return BITNET
  const architectures = fields.get('architectures')
  // The reproduction calls itself a llama; its class name, with a small n, or weight_bits tells.
  const isReproduction =
    (Array.isArray(architectures) && architectures.includes('BitnetForCausalLM')) ||
    fields.get('weight_bits') === 1
  if (isReproduction) return REPRODUCTION
  if (modelType === 'llama') return method === 'bitnet' ? TERNARY_LLAMA : DENSE_LLAMA
  throw unsupported(fields, 'model_type', modelType, '"bitnet" or "llama"')
}

/** rope_theta stands at the top level, or since transformers 5 in rope_parameters. */
function ropeParameters(fields: ConfigFields): ConfigFields {
  const parameters = fields.get('rope_parameters')
  for (const [key, scaling] of [
    ['rope_scaling', fields.get('rope_scaling')],
    ['rope_parameters', parameters],
  ] as const) {
    if (isAbsent(scaling)) continue
    if (!isJsonObject(scaling)) throw configError(fields, key, 'an object', describe(scaling))
    const type = scaling['rope_type'] ?? scaling['type'] ?? 'default'
    refuse(fields, key, type !== 'default', `rope scaling ${describe(type)}`)
  }
  const source = fields.source
  return {
    source,
    get: (key) =>
      fields.get(key) ?? (isJsonObject(parameters) ? ownField(parameters, key) : undefined),
  }
}

function hiddenActivation(fields: ConfigFields, fallback: Activation): Activation {
  const name = readString(fields, 'hidden_act', fallback)
  if (name === 'relu2' || name === 'silu') return name
  throw configError(fields, 'hidden_act', '"relu2" or "silu"', describe(name))
}

/**
 * Reads the metadata of a GGUF file; the tensors tell what the metadata leaves out.
 *
 * @throws FormatError
 */
export function configFromGguf(file: Pick<GgufFile, 'metadata' | 'tensors' | 'name'>): ModelConfig {
  const source = file.name
  const fields: ConfigFields = { source, get: (key) => file.metadata.get(key) }
  const architecture = readString(fields, 'general.architecture')
  if (architecture === undefined) {
    throw configError(fields, 'general.architecture', 'a string', 'nothing')
  }
  const family = ggufFamily(fields, file, architecture)
  const key = (name: string) => `${architecture}.${name}`

  const experts = readInteger(fields, key('expert_count'), { min: 0, max: 1024 }, 0)
  refuse(fields, key('expert_count'), experts > 0, 'a mixture of experts')
  const scaling = readString(fields, key('rope.scaling.type'), 'none')
  refuse(fields, key('rope.scaling.type'), scaling !== 'none', `rope scaling ${describe(scaling)}`)
  const linear = readNumber(fields, key('rope.scale_linear'), { min: 0, max: 1e6 }, 1)
  refuse(fields, key('rope.scale_linear'), linear !== 1 && linear !== 0, 'linear rope scaling')
  refuse(fields, 'rope_freqs.weight', file.tensors.has('rope_freqs.weight'), 'rope scaling factors')

  const dim = readInteger(fields, key('embedding_length'), CONFIG_LIMITS.dim)
  const nHeads = readInteger(fields, key('attention.head_count'), CONFIG_LIMITS.heads)
  const headDim = readInteger(
    fields,
    key('attention.key_length'),
    CONFIG_LIMITS.headDim,
    dim / nHeads,
  )
  for (const name of [key('attention.value_length'), key('rope.dimension_count')]) {
    const value = readInteger(fields, name, CONFIG_LIMITS.headDim, headDim)
    if (value !== headDim) {
      throw configError(fields, name, `${headDim}, as long as a head`, String(value))
    }
  }
  const vocabSize = file.tensors.get('token_embd.weight')?.shape[0]
  const config: ModelConfig = {
    architecture,
    name: readString(fields, 'general.name') ?? lastPathPart(source).replace(/\.gguf$/i, ''),
    dim,
    nLayers: readInteger(fields, key('block_count'), CONFIG_LIMITS.layers),
    nHeads,
    nKvHeads: readInteger(fields, key('attention.head_count_kv'), CONFIG_LIMITS.heads, nHeads),
    headDim,
    ffnDim: readInteger(fields, key('feed_forward_length'), CONFIG_LIMITS.ffnDim),
    vocabSize: readInteger(fields, key('vocab_size'), CONFIG_LIMITS.vocabSize, vocabSize),
    contextLength: readInteger(fields, key('context_length'), CONFIG_LIMITS.contextLength),
    ropeTheta: readNumber(fields, key('rope.freq_base'), CONFIG_LIMITS.ropeTheta, 10000),
    normEps: readNumber(fields, key('attention.layer_norm_rms_epsilon'), CONFIG_LIMITS.normEps),
    ...family,
    tiedHead: !file.tensors.has('output.weight'),
  }
  return checkConfig(fields, config, {
    headDim: key('attention.key_length'),
    nKvHeads: key('attention.head_count_kv'),
  })
}

function ggufFamily(
  fields: ConfigFields,
  file: Pick<GgufFile, 'tensors'>,
  architecture: string,
): Family {
  switch (architecture) {
    case 'bitnet-b1.58':
    case 'bitnet-25':
      return BITNET
    case 'bitnet':
      return REPRODUCTION
    case 'llama': {
      const type = file.tensors.get('blk.0.attn_q.weight')?.type
      const isTernary = type === 'I2_S' || type === 'TQ1_0' || type === 'TQ2_0'
      return isTernary ? TERNARY_LLAMA : DENSE_LLAMA
    }
  }
  const expected = '"bitnet-b1.58", "bitnet-25", "bitnet" or "llama"'
  throw unsupported(fields, 'general.architecture', architecture, expected)
}

function unsupported(
  fields: ConfigFields,
  key: string,
  got: string,
  expected: string,
): FormatError {
  return new FormatError(
    `Expected "${key}" of ${fields.source} to be ${expected}, got ${describe(got)}. ` +
      'Models of that family cannot be run.',
    { field: key, path: fields.source },
  )
}

/** Only what the file itself says: "toString" or "__proto__" are no fields of a JSON object. */
function ownField(json: JsonObject, key: string): unknown {
  return Object.hasOwn(json, key) ? json[key] : undefined
}

function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function lastPathPart(path: string): string {
  return path.split(/[\\/]/).findLast((part) => part !== '') ?? path
}
