/**
 * Checks what a caller asks of a generation, and fills in what the caller left to the model.
 */
import { isWhole } from '../checks.ts'
import { UsageError } from '../errors.ts'
import type { DraftModel, GenerateOptions, SamplingOptions } from './options.ts'
import { freshSeed } from './sample/random.ts'

/** Tokens generated when the caller names no number. */
const DEFAULT_MAX_TOKENS = 256

/** Tokens guessed at a time when the caller names no number; more are seldom all right. */
const DEFAULT_GUESSES = 16
/** Each guess takes a row of logits, half a megabyte with a vocabulary of 128k. */
const MAX_GUESSES = 64

/** All sampling fields but the seed, with no gaps. */
export type SamplingSettings = Readonly<Required<Omit<SamplingOptions, 'seed'>>>

/** Options with nothing left open; `maxTokens` may still be more than the context leaves. */
export interface ResolvedOptions {
  readonly sampling: SamplingSettings
  readonly seed: number
  readonly maxTokens: number
  readonly stop: readonly string[]
  readonly speculation: ResolvedSpeculation | undefined
}

export interface ResolvedSpeculation {
  readonly maxTokens: number
  /** Unset: prompt lookup. */
  readonly draft: DraftModel | undefined
}

interface Rule {
  readonly expected: string
  readonly holds: (value: number) => boolean
}

const FINITE: Rule = { expected: 'a finite number', holds: Number.isFinite }

/** The range of every numeric option; options.ts says what each means. */
const RULES: Readonly<Record<keyof SamplingOptions | 'maxTokens', Rule>> = {
  temperature: { expected: 'a finite number >= 0', holds: (v) => Number.isFinite(v) && v >= 0 },
  topK: { expected: 'an integer >= 0', holds: (v) => isWhole(v) },
  topP: { expected: 'a number > 0 and <= 1', holds: (v) => v > 0 && v <= 1 },
  minP: { expected: 'a number >= 0 and < 1', holds: (v) => v >= 0 && v < 1 },
  repetitionPenalty: { expected: 'a finite number > 0', holds: (v) => Number.isFinite(v) && v > 0 },
  frequencyPenalty: FINITE,
  presencePenalty: FINITE,
  seed: { expected: 'an integer from 0 to 9007199254740991', holds: (v) => isWhole(v) },
  maxTokens: { expected: 'an integer >= 1', holds: (v) => isWhole(v, 1) },
}

/**
 * @throws UsageError naming the first option that is out of its range. An option that is undefined
 *   counts as unset.
 */
export function validateGenerateOptions(options: GenerateOptions): void {
  if (typeof options !== 'object' || options === null) fail('options', 'an object', options)
  for (const [name, rule] of Object.entries(RULES) as [keyof typeof RULES, Rule][]) {
    const value: unknown = options[name]
    if (value === undefined) continue
    if (typeof value !== 'number' || !rule.holds(value)) fail(name, rule.expected, value)
  }
  validateSpeculation(options)
  const { stop, signal } = options
  if (stop !== undefined) {
    if (!Array.isArray(stop)) fail('stop', 'an array of strings', stop)
    for (const text of stop) {
      if (typeof text !== 'string' || text === '') {
        fail('stop', 'an array of strings that are not empty', text)
      }
    }
  }
  if (signal !== undefined && typeof signal?.addEventListener !== 'function') {
    fail('signal', 'an AbortSignal', signal)
  }
}

function validateSpeculation({ speculate, draft }: GenerateOptions): void {
  if (draft !== undefined && (typeof draft !== 'object' || draft === null)) {
    fail('draft', 'a loaded model', draft)
  }
  if (speculate === undefined || typeof speculate === 'boolean') return
  if (typeof speculate !== 'object' || speculate === null) {
    fail('speculate', 'true, false or an object', speculate)
  }
  const { maxTokens } = speculate
  if (maxTokens === undefined) return
  if (!isWhole(maxTokens, 1, MAX_GUESSES)) {
    fail('speculate.maxTokens', `an integer from 1 to ${MAX_GUESSES}`, maxTokens)
  }
}

/** Options that {@link validateGenerateOptions} accepts, completed from the model's defaults. */
export function resolveOptions(
  options: GenerateOptions,
  defaults: SamplingSettings,
): ResolvedOptions {
  const names = Object.keys(defaults) as (keyof SamplingSettings)[]
  const sampling = names.map((name) => [name, options[name] ?? defaults[name]])
  return {
    sampling: Object.fromEntries(sampling) as SamplingSettings,
    seed: options.seed ?? freshSeed(),
    maxTokens: options.maxTokens ?? DEFAULT_MAX_TOKENS,
    stop: options.stop ?? [],
    speculation: resolveSpeculation(options),
  }
}

function resolveSpeculation({
  speculate,
  draft,
}: GenerateOptions): ResolvedSpeculation | undefined {
  if (!(speculate ?? draft !== undefined)) return undefined
  const maxTokens = typeof speculate === 'object' ? speculate.maxTokens : undefined
  return { maxTokens: maxTokens ?? DEFAULT_GUESSES, draft }
}

/** @throws UsageError in the one form all option errors have */
export function fail(name: string, expected: string, got: unknown): never {
  throw new UsageError(`Expected ${name} to be ${expected}, got ${describe(got)}.`)
}

function describe(value: unknown): string {
  if (typeof value === 'number' || value === null || value === undefined) return String(value)
  if (typeof value === 'string') return `${JSON.stringify(value.slice(0, 40))} (string)`
  return `a value of type ${typeof value}`
}
