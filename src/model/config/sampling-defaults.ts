/**
 * How a model's makers want it sampled: from GGUF keys or generation_config.json, field by field, and
 * this library's own defaults for what they leave open.
 */
import { describe, fromFloat32, isAbsent, type JsonObject } from '../../checks.ts'
import type { GgufFile } from '../../formats/model-file.ts'

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

interface SamplingKey {
  readonly name: 'temperature' | 'topP' | 'topK' | 'minP' | 'repetitionPenalty'
  /** In GGUF under a key of a type, and in generation_config.json. */
  readonly gguf: string
  readonly json: string
  readonly type: 'f32' | 'i32'
  readonly min: number
  readonly max: number
  /** Whether other programs take a value, which may be out of range, to turn this off. */
  readonly isOff?: (value: number) => boolean
  /** Our own value for that. */
  readonly off?: number
}

function key(
  name: SamplingKey['name'],
  gguf: string,
  json: string,
  type: SamplingKey['type'],
  rest: Pick<SamplingKey, 'min' | 'max' | 'isOff' | 'off'>,
): SamplingKey {
  return { name, gguf: `general.sampling.${gguf}`, json, type, ...rest }
}

/** Where files keep what they say of it, and what of that counts. */
export const SAMPLING_KEYS: readonly SamplingKey[] = [
  key('temperature', 'temp', 'temperature', 'f32', { min: 0, max: 100 }),
  key('topP', 'top_p', 'top_p', 'f32', {
    ...{ min: 1e-6, max: 1, off: 1 },
    isOff: (value) => value === 0 || value >= 1,
  }),
  key('topK', 'top_k', 'top_k', 'i32', {
    ...{ min: 0, max: 1 << 21, off: 0 },
    isOff: (value) => value <= 0 || value > 1 << 21,
  }),
  key('minP', 'min_p', 'min_p', 'f32', { min: 0, max: 1 }),
  key('repetitionPenalty', 'penalty_repeat', 'repetition_penalty', 'f32', { min: 0.01, max: 100 }),
]

/** What changes how other programs draw but not this one, with the value that leaves it off. */
const ELSEWHERE: Readonly<Record<'gguf' | 'json', Readonly<Record<string, number>>>> = {
  gguf: { 'general.sampling.xtc_probability': 0, 'general.sampling.mirostat': 0 },
  json: {
    ...{ typical_p: 1, epsilon_cutoff: 0, eta_cutoff: 0, penalty_alpha: 0, guidance_scale: 1 },
    ...{ num_beams: 1, num_beam_groups: 1, diversity_penalty: 0 },
    ...{ no_repeat_ngram_size: 0, encoder_repetition_penalty: 1, min_new_tokens: 0, min_length: 0 },
  },
}

/** What a model says, completed, and a sentence for each value that makes no sense and was left out. */
export interface StatedSampling {
  readonly defaults: SamplingDefaults
  readonly warnings: readonly string[]
}

export function samplingFromGguf(file: Pick<GgufFile, 'metadata' | 'name'>): StatedSampling {
  const read = (name: string): unknown => {
    const value = file.metadata.get(name)
    return typeof value === 'number' ? fromFloat32(value) : value
  }
  return readSampling(file.name, 'gguf', read)
}

/** @param json generation_config.json, if there is one */
export function samplingFromGenerationConfig(
  json: JsonObject | undefined,
  source: string,
): StatedSampling {
  const stated = (name: string): unknown => {
    return json !== undefined && Object.hasOwn(json, name) ? json[name] : undefined
  }
  const found = readSampling(source, 'json', stated)
  const sampled = stated('do_sample')
  if (isAbsent(sampled) || sampled === true) return found
  if (sampled === false) return { ...found, defaults: { ...found.defaults, temperature: 0 } }
  const warning = leftOut(source, 'do_sample', 'true or false', sampled)
  return { ...found, warnings: [...found.warnings, warning] }
}

/** How a model is to be sampled is no reason not to run it. */
function readSampling(
  source: string,
  form: 'gguf' | 'json',
  read: (name: string) => unknown,
): StatedSampling {
  const warnings: string[] = []
  for (const [name, off] of Object.entries(ELSEWHERE[form])) {
    const value = read(name)
    if (!isAbsent(value) && value !== off) warnings.push(leftOut(source, name, String(off), value))
  }
  const stated = SAMPLING_KEYS.flatMap((key): (readonly [string, number])[] => {
    const name = key[form]
    const value = read(name)
    if (isAbsent(value)) return []
    const isNumber = typeof value === 'number' && (key.type === 'f32' || Number.isInteger(value))
    if (isNumber && key.off !== undefined && key.isOff?.(value)) return [[key.name, key.off]]
    if (isNumber && value >= key.min && value <= key.max) return [[key.name, value]]
    const whole = key.type === 'i32' ? 'a whole number' : 'a number'
    warnings.push(leftOut(source, name, `${whole} from ${key.min} to ${key.max}`, value))
    return []
  })
  return { defaults: { ...DEFAULTS, ...Object.fromEntries(stated) }, warnings }
}

function leftOut(source: string, name: string, expected: string, value: unknown): string {
  return `Expected "${name}" of ${source} to be ${expected}, got ${describe(value)}; it is left out.`
}
