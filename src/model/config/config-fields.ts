/**
 * Checked reading of a model's numbers. A configuration comes from outside: every field is tested for
 * its type and against a limit before anything is allocated by it.
 */
import { describe, isAbsent } from '../../checks.ts'
import { FormatError } from '../../errors.ts'
import { MAX_HEAD_DIM } from '../../kernels/attention/layout.ts'
import type { ModelConfig } from './config.ts'

/** A named set of untrusted fields: config.json or GGUF metadata. */
export interface ConfigFields {
  /** For messages: a path or a model's name. */
  readonly source: string
  get(key: string): unknown
}

export interface NumberLimit {
  readonly min: number
  readonly max: number
}

/**
 * Far above any published model, and low enough that no product of two overflows 2^53 or an int32
 * accumulator: a ternary row of 2^18 columns sums to at most 2^18 * 2 * 128 = 2^26.
 */
export const CONFIG_LIMITS = {
  dim: { min: 1, max: 1 << 16 },
  layers: { min: 1, max: 1024 },
  heads: { min: 1, max: 1024 },
  headDim: { min: 2, max: MAX_HEAD_DIM },
  ffnDim: { min: 1, max: 1 << 18 },
  vocabSize: { min: 1, max: 1 << 21 },
  contextLength: { min: 1, max: 1 << 21 },
  ropeTheta: { min: 1, max: 1e12 },
  normEps: { min: 1e-12, max: 0.1 },
  window: { min: 1, max: 1 << 21 },
} as const satisfies Record<string, NumberLimit>

/**
 * The first of `keys` that is present, as a finite number within the limit.
 *
 * @throws FormatError naming the field
 */
export function readNumber(
  fields: ConfigFields,
  keys: string | readonly string[],
  limit: NumberLimit,
  fallback?: number,
): number {
  const names = typeof keys === 'string' ? [keys] : keys
  const key = names.find((name) => !isAbsent(fields.get(name))) ?? names[0]
  const value = fields.get(key) ?? fallback
  if (value === undefined) throw configError(fields, key, 'a number', 'nothing')
  if (typeof value !== 'number' || !Number.isFinite(value)) {
    throw configError(fields, key, 'a finite number', describe(value))
  }
  if (value < limit.min || value > limit.max) {
    throw configError(fields, key, `a number from ${limit.min} to ${limit.max}`, String(value))
  }
  return value
}

/** As {@link readNumber}, and a whole number. */
export function readInteger(
  fields: ConfigFields,
  keys: string | readonly string[],
  limit: NumberLimit,
  fallback?: number,
): number {
  const value = readNumber(fields, keys, limit, fallback)
  if (!Number.isInteger(value)) {
    const key = typeof keys === 'string' ? keys : keys[0]
    throw configError(fields, key, 'a whole number', String(value))
  }
  return value
}

/** @throws FormatError naming the field if it is present and no string */
export function readString(
  fields: ConfigFields,
  key: string,
  fallback?: string,
): string | undefined {
  const value = fields.get(key)
  if (isAbsent(value)) return fallback
  if (typeof value !== 'string') throw configError(fields, key, 'a string', describe(value))
  return value
}

/** @throws FormatError naming the field if it is present and no boolean */
export function readBoolean(fields: ConfigFields, key: string, fallback: boolean): boolean {
  const value = fields.get(key)
  if (isAbsent(value)) return fallback
  if (typeof value !== 'boolean') throw configError(fields, key, 'true or false', describe(value))
  return value
}

/** Refuses a feature that would change the results if it were ignored. */
export function refuse(
  fields: ConfigFields,
  key: string,
  isUsed: boolean,
  whatIsMissing: string,
): void {
  if (!isUsed) return
  throw new FormatError(
    `Cannot run ${fields.source}: its "${key}" asks for ${whatIsMissing}, which is not supported.`,
    { field: key, path: fields.source },
  )
}

export function configError(
  fields: ConfigFields,
  key: string,
  expected: string,
  got: string,
): FormatError {
  return new FormatError(
    `Expected "${key}" of ${fields.source} to be ${expected}, got ${got}. ` +
      'The file is damaged or of a kind that is not supported.',
    { field: key, path: fields.source },
  )
}

/** A value of a field that decides what is computed, and that is none of those that can be run. */
export function unsupported(
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

/** Relations between fields that the kernels rely on. Returns the same config. */
export function checkConfig(
  fields: ConfigFields,
  config: ModelConfig,
  keys: { headDim: string; nKvHeads: string },
): ModelConfig {
  if (config.nHeads % config.nKvHeads !== 0) {
    const expected = `a divisor of the ${config.nHeads} query heads`
    throw configError(fields, keys.nKvHeads, expected, String(config.nKvHeads))
  }
  if (config.headDim % 2 !== 0) {
    throw configError(fields, keys.headDim, 'even, as rotations take pairs', String(config.headDim))
  }
  return config
}

/** The name of the last folder or file. */
export function lastPathPart(path: string): string {
  return path.split(/[\\/]/).findLast((part) => part !== '') ?? path
}
