/**
 * How config.json and GGUF metadata describe the scaling of rotary position embedding.
 */
import { describe } from '../../checks.ts'
import {
  CONFIG_LIMITS,
  type ConfigFields,
  configError,
  readBoolean,
  readInteger,
  readNumber,
  readString,
  refuse,
} from './config-fields.ts'
import { type RopeScaling, yarnAttentionFactor } from './rope-scaling.ts'

const LIMITS = {
  factor: { min: 1, max: 1024 },
  /** Metadata may say 0 for nothing. */
  optionalFactor: { min: 0, max: 1024 },
  attention: { min: 0.01, max: 100 },
  /** Turns within the first context. */
  turns: { min: 0.001, max: 1e6 },
} as const

/** Turns beyond which YaRN keeps a frequency, and below which it scales it, if a file does not say. */
export const YARN_TURNS = { fast: 32, slow: 1 } as const

/**
 * @param fields of `rope_scaling`, or of `rope_parameters` since transformers 5
 * @param key what the object is called, for messages
 * @param contextLength of the model, in place of an original one that is not given
 * @throws FormatError
 */
export function ropeScalingFromJson(
  fields: ConfigFields,
  key: string,
  contextLength: number,
): RopeScaling | undefined {
  const type = readString(fields, 'rope_type') ?? readString(fields, 'type', 'default')
  if (type === 'default') return undefined
  const isKnown = type === 'linear' || type === 'yarn' || type === 'llama3'
  refuse(fields, key, !isKnown, `rope scaling ${describe(type)}`)
  const factor = readNumber(fields, 'factor', LIMITS.factor)
  if (type === 'linear') return { type, factor }
  const limit = CONFIG_LIMITS.contextLength
  const original = 'original_max_position_embeddings'
  const originalContext = readInteger(fields, original, limit, contextLength)
  if (type === 'llama3') {
    const low = readNumber(fields, 'low_freq_factor', LIMITS.turns)
    const high = readNumber(fields, 'high_freq_factor', LIMITS.turns)
    if (high <= low) throw configError(fields, 'high_freq_factor', `above ${low}`, String(high))
    const factors = { lowFrequencyFactor: low, highFrequencyFactor: high }
    return { type, factor, originalContext, ...factors }
  }
  const multiplier = (name: string) => readNumber(fields, name, LIMITS.optionalFactor, 0)
  const [mscale, mscaleAll] = [multiplier('mscale'), multiplier('mscale_all_dim')]
  // As published code has it: one of the two alone does not count.
  const own =
    mscale > 0 && mscaleAll > 0
      ? yarnAttentionFactor(factor, mscale) / yarnAttentionFactor(factor, mscaleAll)
      : yarnAttentionFactor(factor)
  return {
    type: 'yarn',
    factor,
    originalContext,
    attentionFactor: readNumber(fields, 'attention_factor', LIMITS.attention, own),
    betaFast: readNumber(fields, 'beta_fast', LIMITS.turns, YARN_TURNS.fast),
    betaSlow: readNumber(fields, 'beta_slow', LIMITS.turns, YARN_TURNS.slow),
    truncate: readBoolean(fields, 'truncate', true),
  }
}

/**
 * @param key gives the whole name of a key of the architecture
 * @throws FormatError
 */
export function ropeScalingFromGguf(
  fields: ConfigFields,
  key: (name: string) => string,
  contextLength: number,
): RopeScaling | undefined {
  const scaling = (name: string) => key(`rope.scaling.${name}`)
  const number = (name: string, limit: { min: number; max: number }, fallback: number) =>
    readNumber(fields, scaling(name), limit, fallback)
  const keys = [scaling('factor'), key('rope.scale_linear')]
  const factor = readNumber(fields, keys, LIMITS.optionalFactor, 0) || 1
  // A factor without a type is linear: files had it before types were named.
  const type = readString(fields, scaling('type'), 'linear')
  // Files give factors beside the growth that the method has by itself.
  const growth =
    number('attn_factor', LIMITS.attention, 1) * number('yarn_attn_factor', LIMITS.attention, 1)
  const isGrown = type !== 'yarn' && growth !== 1
  refuse(fields, scaling('attn_factor'), isGrown, `growth of attention with scaling "${type}"`)
  if (type === 'none') return undefined
  const isKnown = type === 'linear' || type === 'yarn'
  refuse(fields, scaling('type'), !isKnown, `rope scaling ${describe(type)}`)
  if (type === 'linear') return factor === 1 ? undefined : { type, factor }
  const logarithm = number('yarn_log_multiplier', { min: -1e6, max: 1e6 }, 0)
  refuse(fields, scaling('yarn_log_multiplier'), logarithm !== 0, 'another growth of attention')
  const extrapolation = number('yarn_ext_factor', { min: -1, max: 1e6 }, 1)
  const isOther = extrapolation !== 1 && extrapolation !== -1
  refuse(fields, scaling('yarn_ext_factor'), isOther, 'another mix of frequencies')
  const originalKey = scaling('original_context_length')
  return {
    type: 'yarn',
    factor,
    originalContext: readInteger(fields, originalKey, CONFIG_LIMITS.contextLength, contextLength),
    attentionFactor: growth * yarnAttentionFactor(factor),
    betaFast: number('yarn_beta_fast', LIMITS.turns, YARN_TURNS.fast),
    betaSlow: number('yarn_beta_slow', LIMITS.turns, YARN_TURNS.slow),
    truncate: true,
  }
}
