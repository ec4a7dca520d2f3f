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

const LIMITS = {
  temperature: { min: 0, max: 100 },
  topK: { min: 0, max: 1 << 21 },
  topP: { min: 1e-6, max: 1 },
  repetitionPenalty: { min: 0.01, max: 100 },
}

/** @throws FormatError naming a key whose value is out of range */
export function samplingFromGguf(file: Pick<GgufFile, 'metadata' | 'name'>): SamplingDefaults {
  return readSampling(
    { source: file.name, get: (key) => shortened(file.metadata.get(key)) },
    {
      temperature: 'general.sampling.temp',
      topK: 'general.sampling.top_k',
      topP: 'general.sampling.top_p',
      repetitionPenalty: 'general.sampling.penalty_repeat',
    },
  )
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
  const defaults = readSampling(fields, {
    temperature: 'temperature',
    topK: 'top_k',
    topP: 'top_p',
    repetitionPenalty: 'repetition_penalty',
  })
  const isGreedy = !isAbsent(fields.get('do_sample')) && !readBoolean(fields, 'do_sample', true)
  return isGreedy ? { ...defaults, temperature: 0 } : defaults
}

function readSampling(
  fields: ConfigFields,
  keys: Record<keyof typeof LIMITS, string>,
): SamplingDefaults {
  const { temperature, topP, repetitionPenalty, topK } = DEFAULTS
  return {
    ...DEFAULTS,
    temperature: readNumber(fields, keys.temperature, LIMITS.temperature, temperature),
    topK: readInteger(fields, keys.topK, LIMITS.topK, topK),
    topP: readNumber(fields, keys.topP, LIMITS.topP, topP),
    repetitionPenalty: readNumber(
      fields,
      keys.repetitionPenalty,
      LIMITS.repetitionPenalty,
      repetitionPenalty,
    ),
  }
}
