/**
 * The configuration in the metadata of a GGUF file.
 */
import type { GgufFile } from '../../formats/model-file.ts'
import type { LocalAttention, ModelConfig } from './config.ts'
import {
  CONFIG_LIMITS,
  type ConfigFields,
  checkConfig,
  configError,
  lastPathPart,
  readInteger,
  readNumber,
  readString,
  refuse,
} from './config-fields.ts'
import { expertsFromGguf } from './expert-fields.ts'
import { ggufFamily } from './families.ts'
import { ropeScalingFromGguf } from './rope-scaling-fields.ts'

/** Gemma 3 has five layers with a window to one without, whose rotation is another. */
const GEMMA3_PATTERN = 6
const GEMMA3_LOCAL_THETA = 10000

/**
 * Reads the metadata of a GGUF file; the tensors tell what the metadata leaves out.
 *
 * @throws FormatError
 */
export function configFromGguf(
  file: Pick<GgufFile, 'metadata' | 'tensors' | 'unread' | 'name'>,
): ModelConfig {
  const source = file.name
  const fields: ConfigFields = { source, get: (key) => file.metadata.get(key) }
  const architecture = readString(fields, 'general.architecture')
  if (architecture === undefined) {
    throw configError(fields, 'general.architecture', 'a string', 'nothing')
  }
  const family = ggufFamily(fields, file, architecture)
  const key = (name: string) => `${architecture}.${name}`
  refuseFeatures(fields, file, key)

  const dim = readInteger(fields, key('embedding_length'), CONFIG_LIMITS.dim)
  const nHeads = readInteger(fields, key('attention.head_count'), CONFIG_LIMITS.heads)
  const headDim = readInteger(
    fields,
    key('attention.key_length'),
    CONFIG_LIMITS.headDim,
    dim / nHeads,
  )
  for (const name of [
    key('attention.value_length'),
    key('rope.dimension_count'),
    key('attention.query_pre_attn_scalar'),
  ]) {
    const value = readInteger(fields, name, CONFIG_LIMITS.headDim, headDim)
    if (value !== headDim) {
      throw configError(fields, name, `${headDim}, as long as a head`, String(value))
    }
  }
  const table = 'token_embd.weight'
  const vocabSize = (file.tensors.get(table) ?? file.unread?.get(table))?.shape[0]
  const nLayers = readInteger(fields, key('block_count'), CONFIG_LIMITS.layers)
  const contextLength = readInteger(fields, key('context_length'), CONFIG_LIMITS.contextLength)
  const ropeScaling = ropeScalingFromGguf(fields, key, contextLength)
  const config: ModelConfig = {
    architecture,
    name: readString(fields, 'general.name') ?? lastPathPart(source).replace(/\.gguf$/i, ''),
    dim,
    nLayers,
    nHeads,
    nKvHeads: readInteger(fields, key('attention.head_count_kv'), CONFIG_LIMITS.heads, nHeads),
    headDim,
    ...expertsFromGguf(fields, architecture, key),
    vocabSize: readInteger(fields, key('vocab_size'), CONFIG_LIMITS.vocabSize, vocabSize),
    contextLength,
    ropeTheta: readNumber(fields, key('rope.freq_base'), CONFIG_LIMITS.ropeTheta, 10000),
    ...(ropeScaling && { ropeScaling }),
    normEps: readNumber(fields, key('attention.layer_norm_rms_epsilon'), CONFIG_LIMITS.normEps),
    ...family,
    tiedHead: !file.tensors.has('output.weight'),
    ...(architecture === 'gemma3' && {
      embeddingFactor: Math.fround(Math.sqrt(dim)),
      localAttention: localAttention(fields, key, nLayers),
    }),
  }
  return checkConfig(fields, config, {
    headDim: key('attention.key_length'),
    nKvHeads: key('attention.head_count_kv'),
  })
}

/** Keys that would change what is computed, and their values that do not. */
const OTHER_GRAPHS: readonly (readonly [
  key: string,
  what: string,
  ...plain: readonly unknown[],
])[] = [
  ['attention.causal', 'attention to later positions', true],
  ['attn_logit_softcapping', 'capped attention', 0],
  ['final_logit_softcapping', 'capped logits', 0],
  ['attention.clamp_kqv', 'clamped projections', 0],
  ['attention.max_alibi_bias', 'ALiBi', 0],
  ['attention.scale', 'another scale of attention', 0],
  ['logit_scale', 'scaled logits', 0, 1],
  ['residual_scale', 'a scaled residual stream', 0, 1],
  ['embedding_scale', 'scaled embeddings', 0, 1],
  ['use_parallel_residual', 'parallel blocks', false],
]

function refuseFeatures(
  fields: ConfigFields,
  file: Pick<GgufFile, 'tensors'>,
  key: (name: string) => string,
): void {
  for (const [name, what, ...plain] of OTHER_GRAPHS) {
    const value = fields.get(key(name))
    refuse(fields, key(name), value !== undefined && !plain.includes(value), what)
  }
  refuse(
    fields,
    'rope_freqs.weight',
    file.tensors.has('rope_freqs.weight'),
    'a table of rope scaling factors',
  )
}

/** A file without a window has none, whatever the architecture's own models have. */
function localAttention(
  fields: ConfigFields,
  key: (name: string) => string,
  nLayers: number,
): LocalAttention | undefined {
  const windowKey = key('attention.sliding_window')
  const window = readInteger(fields, windowKey, { ...CONFIG_LIMITS.window, min: 0 }, 0)
  if (window === 0) return undefined
  const patternKey = key('attention.sliding_window_pattern')
  const pattern = readInteger(fields, patternKey, CONFIG_LIMITS.layers, GEMMA3_PATTERN)
  const thetaKey = key('rope.freq_base_swa')
  return {
    window,
    ropeTheta: readNumber(fields, thetaKey, CONFIG_LIMITS.ropeTheta, GEMMA3_LOCAL_THETA),
    layers: localLayers(nLayers, (layer) => (layer + 1) % pattern !== 0),
  }
}

/** The layers, counted from 0, that have a window. */
export function localLayers(nLayers: number, isLocal: (layer: number) => boolean): number[] {
  return Array.from({ length: nLayers }, (_, layer) => layer).filter(isLocal)
}
