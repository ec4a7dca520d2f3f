/**
 * The metadata of a converted file: from a config.json in the order of the published 2B-4T file, or
 * copied from another GGUF.
 */
import { UsageError } from '../errors.ts'
import { type GgufTypedValue, withType } from '../formats/gguf/index.ts'
import type { GgufFile, GgufValue, SafetensorsFile, TokenizerFiles } from '../formats/model-file.ts'
import type { ModelConfig } from '../model/config/config.ts'
import { namedBody } from '../model/config/families.ts'
import { SAMPLING_KEYS } from '../model/config/sampling-defaults.ts'
import { chooseTemplate } from '../tokenizer/chat-format.ts'
import { familyMetadata } from './family-metadata.ts'
import { f32, type MetadataEntry, text, u32 } from './metadata-entry.ts'
import { vocabularyKeys } from './vocabulary-keys.ts'

/** `general.file_type` as the programs that introduced the types number it. */
const FILE_TYPES = { I2_S: 40, TQ1_0: 36, TQ2_0: 37 } as const

/** Types that a converted GGUF keeps ternary matrices in. */
export type WeightStorage = keyof typeof FILE_TYPES
export const WEIGHT_STORAGES = Object.keys(FILE_TYPES) as WeightStorage[]

/**
 * The GGUF architecture of a configuration: SubLN with squared ReLU is bitnet-b1.58, with SiLU bitnet,
 * and without sub-norms llama; Qwen's and Gemma's bodies keep their names, whatever BitNet adds to them.
 *
 * @throws UsageError if GGUF has no name for the combination
 */
export function ggufArchitecture(config: ModelConfig): string {
  const body = namedBody(config)
  if (body !== undefined) return body.gguf
  const { subNorms, inputNorms, activation } = config
  if (subNorms && !inputNorms) return activation === 'relu2' ? 'bitnet-b1.58' : 'bitnet'
  if (!subNorms && activation === 'silu') return 'llama'
  const what = inputNorms ? 'a norm before each projection' : `${activation} and no sub-norms`
  throw new UsageError(
    `Expected a model of a family that GGUF has a name for, got "${config.architecture}" with ` +
      `${what}: it cannot be converted.`,
  )
}

/** @throws UsageError for what GGUF has no keys for; FormatError if the tokenizer is damaged */
export function metadataFromConfig(
  file: SafetensorsFile,
  files: TokenizerFiles,
  config: ModelConfig,
  weights: WeightStorage,
): MetadataEntry[] {
  const arch = ggufArchitecture(config)
  const vocabulary = vocabularyKeys(files, file.config, config.vocabSize)
  const entries = [
    text('general.architecture', arch),
    text('general.name', config.name),
    u32(`${arch}.vocab_size`, config.vocabSize),
    u32(`${arch}.context_length`, config.contextLength),
    u32(`${arch}.embedding_length`, config.dim),
    u32(`${arch}.block_count`, config.nLayers),
    u32(`${arch}.feed_forward_length`, config.ffnDim),
    u32(`${arch}.rope.dimension_count`, config.headDim),
    u32(`${arch}.attention.head_count`, config.nHeads),
    u32(`${arch}.attention.head_count_kv`, config.nKvHeads),
    f32(`${arch}.attention.layer_norm_rms_epsilon`, config.normEps),
    f32(`${arch}.rope.freq_base`, config.ropeTheta),
    vocabulary.addBos,
    u32('general.file_type', FILE_TYPES[weights]),
    ...vocabulary.core,
    u32('general.quantization_version', 2),
    ...vocabulary.additions,
  ]
  entries.push(...familyMetadata(arch, config))
  for (const { gguf, json, type } of SAMPLING_KEYS) {
    const value = files.generationConfig?.[json]
    if (typeof value === 'number' && Number.isFinite(value)) entries.push([gguf, { type, value }])
  }
  return entries
}

/**
 * All keys of another GGUF as they are, but for the file type, a template that is known wrong, and what is
 * of the file and not of the model.
 */
export function metadataFromGguf(
  file: GgufFile,
  config: ModelConfig,
  weights: WeightStorage,
): MetadataEntry[] {
  const entries: MetadataEntry[] = []
  const isBitnet = config.architecture !== 'llama' && config.activation === 'relu2'
  for (const [key, value] of file.metadata) {
    if (key === 'general.file_type') {
      entries.push(u32(key, FILE_TYPES[weights]))
    } else if (key === 'tokenizer.chat_template' && typeof value === 'string') {
      const template = chooseTemplate(value, { isBitnet, vocabSize: config.vocabSize }) ?? value
      entries.push(text(key, template))
    } else if (key === 'general.name') {
      entries.push(text(key, config.name))
    } else if (key !== 'general.alignment' && !key.startsWith('split.')) {
      entries.push([key, retype(value, file.valueTypes?.get(key) ?? guessType(value), key)])
    }
  }
  return entries
}

function retype(value: GgufValue, type: string, key: string): GgufTypedValue {
  const typed = withType(value, type)
  if (typed !== undefined) return typed
  throw new UsageError(
    `Expected metadata that can be written again, got ${type} for "${key}". ` +
      'Convert the original checkpoint instead.',
  )
}

/** For files that were not opened by our own parser. */
function guessType(value: GgufValue): string {
  if (typeof value === 'string') return 'string'
  if (typeof value === 'boolean') return 'bool'
  if (typeof value === 'bigint') return value < 0n ? 'i64' : 'u64'
  if (typeof value === 'number') {
    if (!Number.isInteger(value)) return 'f32'
    return value < 0 ? 'i32' : value <= 0xffffffff ? 'u32' : 'u64'
  }
  if (value instanceof Float32Array) return 'f32[]'
  if (value instanceof Int32Array) return 'i32[]'
  if (value instanceof Uint32Array) return 'u32[]'
  return `${typeof value[0]}[]`.replace('boolean', 'bool')
}
