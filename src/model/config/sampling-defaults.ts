/**
 * How a model's makers want it sampled: from GGUF keys or generation_config.json, field by field, and
 * this library's own defaults for what they leave open.
 */
import { fromFloat32, isAbsent, type JsonObject } from '../../checks.ts'
import type { GgufFile } from '../../formats/model-file.ts'
import { type ConfigFields, readBoolean, readInteger, readNumber } from './config-fields.ts'

export interface SamplingDefaults {
  readonly temperature: number
  readonly topK: number
  readonly topP: number
  readonly minP: number
  readonly repetitionPenalty: number
  readonly frequencyPenalty: number
  readonly presencePenalty: number
}

/**
 * Small models repeat themselves, hence the mild penalty. Forty candidates hold nearly all of the
 * probability that top-p keeps, and a large vocabulary is then sampled three times as fast.
 */
const DEFAULTS: SamplingDefaults = {
  temperature: 0.7,
  topK: 40,
  topP: 0.9,
  minP: 0,
  repetitionPenalty: 1.1,
  frequencyPenalty: 0,
  presencePenalty: 0,
}

/** Where files keep what they say of it: GGUF under a key of a type, and generation_config.json. */
export const SAMPLING_KEYS = (
  [
    { name: 'temperature', gguf: 'temp', json: 'temperature', type: 'f32', min: 0, max: 100 },
    { name: 'topP', gguf: 'top_p', json: 'top_p', type: 'f32', min: 1e-6, max: 1 },
    { name: 'topK', gguf: 'top_k', json: 'top_k', type: 'i32', min: 0, max: 1 << 21 },
    {
      name: 'repetitionPenalty',
      gguf: 'penalty_repeat',
      json: 'repetition_penalty',
      type: 'f32',
      min: 0.01,
      max: 100,
    },
  ] as const
).map((key) => ({ ...key, gguf: `general.sampling.${key.gguf}` }) as const)

/** @throws FormatError naming a key whose value is out of range */
export function samplingFromGguf(file: Pick<GgufFile, 'metadata' | 'name'>): SamplingDefaults {
  const fields = { source: file.name, get: (key: string) => shortened(file.metadata.get(key)) }
  return readSampling(fields, 'gguf')
}

function shortened(value: unknown): unknown {
  return typeof value === 'number' ? fromFloat32(value) : value
}

/**
 * @param json generation_config.json, if there is one
 * @throws FormatError naming a field whose value is out of range
 */
export function samplingFromGenerationConfig(
  json: JsonObject | undefined,
  source: string,
): SamplingDefaults {
  const fields: ConfigFields = {
    source,
    get: (key) => (json !== undefined && Object.hasOwn(json, key) ? json[key] : undefined),
  }
  const defaults = readSampling(fields, 'json')
  const isGreedy = !isAbsent(fields.get('do_sample')) && !readBoolean(fields, 'do_sample', true)
  return isGreedy ? { ...defaults, temperature: 0 } : defaults
}

function readSampling(fields: ConfigFields, form: 'gguf' | 'json'): SamplingDefaults {
  const stated = SAMPLING_KEYS.map(({ name, min, max, ...key }) => {
    const read = key.type === 'i32' ? readInteger : readNumber
    return [name, read(fields, key[form], { min, max }, DEFAULTS[name])]
  })
  return { ...DEFAULTS, ...Object.fromEntries(stated) }
}
