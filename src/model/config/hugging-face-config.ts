/**
 * The configuration in a config.json of Hugging Face transformers.
 */
import { describe, isAbsent, isObject, type JsonObject } from '../../checks.ts'
import type { LocalAttention, ModelConfig } from './config.ts'
import {
  CONFIG_LIMITS,
  type ConfigFields,
  checkConfig,
  configError,
  lastPathPart,
  readBoolean,
  readInteger,
  readNumber,
  readString,
  refuse,
} from './config-fields.ts'
import { expertsFromJson } from './expert-fields.ts'
import { huggingFaceFamily, isHeadless, type TensorNames } from './families.ts'
import { localLayers } from './gguf-config.ts'
import type { RopeScaling } from './rope-scaling.ts'
import { ropeScalingFromJson } from './rope-scaling-fields.ts'

const NO_TENSORS: TensorNames = { has: () => false }

/** What unset fields mean, by the configuration classes of transformers. */
interface UnsetFields {
  readonly ropeTheta: number
  readonly normEps: number
  readonly contextLength: number
  /** Unset: what the heads leave of the model's width. */
  readonly headDim?: number
  /** Where the field is not there at all; null means as many as heads, and so does this where it is unset. */
  readonly nKvHeads?: number
}
const LLAMA_UNSET: UnsetFields = { ropeTheta: 10000, normEps: 1e-6, contextLength: 2048 }
const BITNET_UNSET = { ropeTheta: 500000, normEps: 1e-5, contextLength: 2048, nKvHeads: 5 }
const UNSET: Readonly<Record<string, UnsetFields>> = {
  bitnet: BITNET_UNSET,
  bitnet_moe: BITNET_UNSET,
  qwen3: { ...LLAMA_UNSET, contextLength: 32768, headDim: 128, nKvHeads: 32 },
  mixtral: { ropeTheta: 1e6, normEps: 1e-5, contextLength: 131072, nKvHeads: 8 },
  qwen3_moe: { ...LLAMA_UNSET, contextLength: 32768, nKvHeads: 4 },
  gemma3_text: {
    ...{ ropeTheta: 1e6, normEps: 1e-6, contextLength: 131072 },
    ...{ headDim: 256, nKvHeads: 4 },
  },
}
/** Of the 1bitLLM reproduction, a llama with a class of its own. */
const REPRODUCTION_EPS = 1e-5
const DEFAULT_LOCAL_THETA = 10000
const DEFAULT_WINDOW = 4096
const DEFAULT_PATTERN = 6

/**
 * Reads a config.json.
 *
 * @param name what to call the model, e.g. its folder
 * @param tensors of the model, which tell apart what config.json does not
 * @throws FormatError
 */
export function configFromHuggingFace(
  json: JsonObject,
  name: string,
  tensors: TensorNames = NO_TENSORS,
): ModelConfig {
  const fields: ConfigFields = { source: name, get: (key) => ownField(json, key) }
  const modelType = readString(fields, 'model_type')
  if (modelType === undefined) throw configError(fields, 'model_type', 'a string', 'nothing')
  const family = huggingFaceFamily(fields, modelType, tensors)
  const isGemma = modelType === 'gemma3_text'
  refuseFeatures(fields)

  const unset = UNSET[modelType] ?? LLAMA_UNSET
  const contextLength = readInteger(
    fields,
    'max_position_embeddings',
    CONFIG_LIMITS.contextLength,
    unset.contextLength,
  )
  const { rope, ropeScaling } = ropeParameters(fields, isGemma, contextLength)
  const dim = readInteger(fields, 'hidden_size', CONFIG_LIMITS.dim)
  const nHeads = readInteger(fields, 'num_attention_heads', CONFIG_LIMITS.heads)
  const nLayers = readInteger(fields, 'num_hidden_layers', CONFIG_LIMITS.layers)
  const headDim = readInteger(
    fields,
    'head_dim',
    CONFIG_LIMITS.headDim,
    unset.headDim ?? dim / nHeads,
  )
  const kvHeads = fields.get('num_key_value_heads') === undefined ? unset.nKvHeads : undefined
  const isReproduction = modelType === 'llama' && family.subNorms
  const eps = isReproduction ? REPRODUCTION_EPS : unset.normEps
  const scale = readNumber(fields, 'query_pre_attn_scalar', CONFIG_LIMITS.dim, headDim)
  if (scale !== headDim) {
    throw configError(fields, 'query_pre_attn_scalar', `${headDim}, a head's length`, String(scale))
  }
  const config: ModelConfig = {
    architecture: modelType,
    name: lastPathPart(name),
    dim,
    nLayers,
    nHeads,
    nKvHeads: readInteger(fields, 'num_key_value_heads', CONFIG_LIMITS.heads, kvHeads ?? nHeads),
    headDim,
    ...expertsFromJson(fields, modelType),
    vocabSize: readInteger(fields, 'vocab_size', CONFIG_LIMITS.vocabSize),
    contextLength,
    ropeTheta: readNumber(rope, 'rope_theta', CONFIG_LIMITS.ropeTheta, unset.ropeTheta),
    ...(ropeScaling && { ropeScaling }),
    normEps: readNumber(fields, 'rms_norm_eps', CONFIG_LIMITS.normEps, eps),
    ...family,
    tiedHead: readBoolean(fields, 'tie_word_embeddings', isGemma) || hasNoHead(fields),
    ...(isGemma && {
      embeddingFactor: Math.fround(Math.sqrt(dim)),
      localAttention: localAttention(fields, nLayers),
    }),
  }
  return checkConfig(fields, config, { headDim: 'head_dim', nKvHeads: 'num_key_value_heads' })
}

function refuseFeatures(fields: ConfigFields): void {
  refuse(fields, 'attention_bias', readBoolean(fields, 'attention_bias', false), 'biases')
  refuse(fields, 'mlp_bias', readBoolean(fields, 'mlp_bias', false), 'biases')
  const partial = readNumber(fields, 'partial_rotary_factor', { min: 0, max: 1 }, 1)
  refuse(fields, 'partial_rotary_factor', partial !== 1, 'rotation of a part of each head')
  for (const key of ['attn_logit_softcapping', 'final_logit_softcapping']) {
    refuse(fields, key, !isAbsent(fields.get(key)), 'capped logits')
  }
  const bidirectional = fields.get('use_bidirectional_attention')
  const looksAhead = bidirectional === true || bidirectional === 'all'
  refuse(fields, 'use_bidirectional_attention', looksAhead, 'attention to later positions')
  const windowed = readBoolean(fields, 'use_sliding_window', false)
  refuse(fields, 'use_sliding_window', windowed, 'a window in some layers')
}

/** A class without a head, of which the vectors are wanted and not the logits. */
function hasNoHead(fields: ConfigFields): boolean {
  const architectures = fields.get('architectures')
  return Array.isArray(architectures) && architectures.some(isHeadless)
}

/**
 * Rotations are described by rope_scaling and a rope_theta at the top level, or, since transformers 5,
 * by rope_parameters, there by the kind of layer where a model has two. Where a file has several, what
 * transformers 5 takes counts: rope_scaling before rope_parameters, in Gemma field by field, and a
 * rope_theta in either before the one at the top level.
 */
function ropeParameters(
  fields: ConfigFields,
  isGemma: boolean,
  contextLength: number,
): { rope: ConfigFields; ropeScaling: RopeScaling | undefined } {
  const all = fieldsOf(fields, 'rope_parameters')
  const stated = fieldsOf(fields, 'rope_scaling')
  // An empty object is nothing in Python.
  const scaling =
    stated && Object.keys(fields.get('rope_scaling') ?? {}).length > 0 ? stated : undefined
  const parameters = isGemma ? all && fieldsOf(all, 'full_attention') : all
  const first = scaling ?? parameters
  const second = isGemma ? parameters : undefined
  const described: ConfigFields = {
    source: fields.source,
    get: (key) => first?.get(key) ?? second?.get(key),
  }
  const isByLayer = !isGemma && isObject(all?.get('full_attention'))
  refuse(fields, 'rope_parameters', isByLayer, 'other rotations in some layers')
  const local = isGemma ? all && fieldsOf(all, 'sliding_attention') : undefined
  const ofWindows = local && ropeScalingFromJson(local, 'rope_parameters', contextLength)
  refuse(fields, 'rope_parameters', ofWindows !== undefined, 'rope scaling in layers with a window')
  const name = scaling === undefined ? 'rope_parameters' : 'rope_scaling'
  return {
    rope: { ...fields, get: (key) => described.get(key) ?? fields.get(key) },
    ropeScaling: ropeScalingFromJson(described, name, contextLength),
  }
}

/** The fields of an object in a field. */
function fieldsOf(fields: ConfigFields, key: string): ConfigFields | undefined {
  const value = fields.get(key)
  if (isAbsent(value)) return undefined
  if (!isObject(value)) throw configError(fields, key, 'an object', describe(value))
  return { source: fields.source, get: (name) => ownField(value, name) }
}

/** Which layers have a window: as layer_types says, else all but every sixth. */
function localAttention(fields: ConfigFields, nLayers: number): LocalAttention | undefined {
  const types = fields.get('layer_types')
  const patternKey = '_sliding_window_pattern'
  const pattern = readInteger(
    fields,
    isAbsent(fields.get(patternKey)) ? 'sliding_window_pattern' : patternKey,
    CONFIG_LIMITS.layers,
    DEFAULT_PATTERN,
  )
  if (!isAbsent(types)) checkLayerTypes(fields, types, nLayers)
  const layers = Array.isArray(types)
    ? localLayers(nLayers, (layer) => types[layer] === 'sliding_attention')
    : localLayers(nLayers, (layer) => (layer + 1) % pattern !== 0)
  if (layers.length === 0) return undefined
  return {
    window: readInteger(fields, 'sliding_window', CONFIG_LIMITS.window, DEFAULT_WINDOW),
    ropeTheta: localTheta(fields),
    layers,
  }
}

function localTheta(fields: ConfigFields): number {
  const { ropeTheta } = CONFIG_LIMITS
  const all = fieldsOf(fields, 'rope_parameters')
  const local = all && fieldsOf(all, 'sliding_attention')
  const key = 'rope_theta'
  if (local && !isAbsent(local.get(key))) return readNumber(local, key, ropeTheta)
  return readNumber(fields, 'rope_local_base_freq', ropeTheta, DEFAULT_LOCAL_THETA)
}

function checkLayerTypes(fields: ConfigFields, types: unknown, nLayers: number): void {
  const isKind = (type: unknown) => type === 'sliding_attention' || type === 'full_attention'
  if (Array.isArray(types) && types.length === nLayers && types.every(isKind)) return
  const expected = `${nLayers} times "sliding_attention" or "full_attention"`
  throw configError(fields, 'layer_types', expected, describe(types))
}

/** Only what the file itself says: "toString" or "__proto__" are no fields of a JSON object. */
function ownField(json: JsonObject, key: string): unknown {
  return Object.hasOwn(json, key) ? json[key] : undefined
}
