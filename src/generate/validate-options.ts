/**
 * Checks what a caller asks of a generation, and fills in what the caller left to the model.
 */
import { isObject, isWhole } from '../checks.ts'
import {
  checkOptions,
  fail,
  type OptionRule,
  type OptionRules,
  SCHEMA,
  SIGNAL,
  SWITCH,
  TOOLS,
} from '../option-checks.ts'
import type { DraftModel, GenerateOptions, SamplingOptions, SpeculationOptions } from './options.ts'
import { freshSeed } from './sample/random.ts'
import type { AnswerSchema } from './schema/answer-schema.ts'

/** Tokens generated when the caller names no number. */
export const DEFAULT_MAX_TOKENS = 256

/** Tokens guessed at a time when the caller names no number; more are seldom all right. */
const DEFAULT_GUESSES = 16
/** Each guess takes a row of logits, half a megabyte with a vocabulary of 128k. */
const MAX_GUESSES = 64

/** Likeliest tokens that can be asked for. */
export const MAX_LOGPROBS = 20

/** All sampling fields but the seed, with no gaps. */
export type SamplingSettings = Readonly<Required<Omit<SamplingOptions, 'seed'>>>

/** Options with nothing left open; `maxTokens` may still be more than the context leaves. */
export interface ResolvedOptions {
  readonly sampling: SamplingSettings
  readonly seed: number
  readonly maxTokens: number
  readonly stop: readonly string[]
  readonly stopTokens: readonly number[]
  /** Ids of tokens, and what is added to their logits. */
  readonly logitBias: readonly (readonly [id: number, bias: number])[]
  readonly logprobs: number | undefined
  readonly contextShift: boolean
  readonly speculation: ResolvedSpeculation | undefined
  readonly schema: AnswerSchema | undefined
  readonly orText: boolean | undefined
}

export interface ResolvedSpeculation {
  readonly maxTokens: number
  /** Unset: prompt lookup. */
  readonly draft: DraftModel | undefined
}

function number(
  expected: string,
  holds: (value: number) => boolean,
  more: Pick<OptionRule, 'also' | 'hint'> = {},
): OptionRule {
  return { expected, holds: (value) => typeof value === 'number' && holds(value), ...more }
}

/** The options of a generation; options.ts says what each means. */
export const GENERATE_OPTIONS: OptionRules<GenerateOptions> = {
  temperature: number('a finite number >= 0', (v) => Number.isFinite(v) && v >= 0, {
    also: ['temp', 'do_sample', 'greedy'],
    hint: '0 is greedy',
  }),
  topK: number('an integer >= 0', (v) => isWhole(v)),
  topP: number('a number > 0 and <= 1', (v) => v > 0 && v <= 1, { also: ['nucleus'] }),
  minP: number('a number >= 0 and < 1', (v) => v >= 0 && v < 1),
  repetitionPenalty: number('a finite number > 0', (v) => Number.isFinite(v) && v > 0, {
    also: ['repeat_penalty', 'rep_pen'],
  }),
  frequencyPenalty: number('a finite number', Number.isFinite),
  presencePenalty: number('a finite number', Number.isFinite),
  seed: number('an integer from 0 to 9007199254740991', (v) => isWhole(v), {
    also: ['random_seed', 'random_state', 'manual_seed'],
  }),
  maxTokens: number('an integer >= 1', (v) => isWhole(v, 1), {
    also: [
      ...['max_length', 'max_new_tokens', 'max_gen_len', 'max_completion_tokens'],
      ...['max_output_tokens', 'num_predict', 'n_predict', 'num_tokens'],
    ],
  }),
  stop: {
    expected: 'an array of strings',
    holds: Array.isArray,
    also: ['stop_strings', 'stop_sequences', 'stop_words', 'until', 'antiprompt'],
  },
  stopTokens: {
    expected: 'an array of token ids',
    holds: (value) => Array.isArray(value) && value.every((id) => isWhole(id)),
    also: ['stop_token_ids', 'eos_token_id', 'stop_ids'],
  },
  logitBias: {
    expected: 'an object of token ids with finite numbers or -Infinity',
    holds: isLogitBias,
    also: ['logit_bias', 'bias', 'sequence_bias'],
  },
  contextShift: { ...SWITCH, also: ['context_shift', 'ctx_shift', 'truncation', 'overflow'] },
  speculate: {
    expected: 'true, false or an object',
    holds: (value) => typeof value === 'boolean' || isObject(value),
    fields: {
      maxTokens: number(`an integer from 1 to ${MAX_GUESSES}`, (v) => isWhole(v, 1, MAX_GUESSES), {
        also: ['num_tokens', 'num_speculative_tokens', 'draft_max'],
      }),
    } satisfies OptionRules<SpeculationOptions>,
    also: ['speculative', 'prompt_lookup', 'prompt_lookup_num_tokens'],
  },
  draft: {
    expected: 'a loaded model',
    holds: isObject,
    also: ['assistant_model', 'draft_model', 'speculative_model'],
  },
  logprobs: number(`an integer from 0 to ${MAX_LOGPROBS}`, (v) => isWhole(v, 0, MAX_LOGPROBS), {
    also: ['top_logprobs', 'n_probs'],
  }),
  priority: number('an integer', Number.isSafeInteger),
  deadline: number('a finite number > 0', (v) => Number.isFinite(v) && v > 0, {
    also: ['timeout', 'timeout_ms', 'max_time'],
    hint: 'milliseconds from the call on',
  }),
  client: {
    expected: 'a string that is not empty',
    holds: (value) => typeof value === 'string' && value !== '',
    also: ['user', 'user_id', 'tenant'],
  },
  tools: TOOLS,
  schema: SCHEMA,
  orText: SWITCH,
  signal: SIGNAL,
}

function isLogitBias(value: unknown): boolean {
  if (!isObject(value)) return false
  return Object.entries(value).every(
    ([id, bias]) =>
      /^(0|[1-9]\d{0,9})$/.test(id) &&
      typeof bias === 'number' &&
      (Number.isFinite(bias) || bias === Number.NEGATIVE_INFINITY),
  )
}

/** @throws UsageError as {@link checkOptions} does */
export function validateGenerateOptions(options: GenerateOptions): void {
  checkGeneration('generate', options, GENERATE_OPTIONS)
}

/** The options of a generation and those that its table has beside them. */
export function checkGeneration<Options extends GenerateOptions>(
  owner: string,
  options: Options,
  rules: OptionRules<Options>,
): void {
  checkOptions(owner, options, rules)
  const wrong = options.stop?.find((text: unknown) => typeof text !== 'string' || text === '')
  if (wrong !== undefined) fail('stop', 'an array of strings that are not empty', wrong)
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
    stopTokens: options.stopTokens ?? [],
    logitBias: Object.entries(options.logitBias ?? {}).map(([id, bias]) => [Number(id), bias]),
    logprobs: options.logprobs,
    contextShift: options.contextShift ?? false,
    speculation: resolveSpeculation(options),
    schema: options.schema,
    orText: options.orText,
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
