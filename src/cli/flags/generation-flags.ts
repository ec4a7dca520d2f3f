/**
 * Flags that say how tokens are drawn: a table, from which the flags of commands and the chat's /set come.
 */

import { type Command, InvalidArgumentError } from 'commander'
import { withoutUnset } from '../../checks.ts'
import type { GenerateOptions } from '../../generate/options.ts'
import { decimalNumber, wholeNumber } from './flag-values.ts'

/** What the sampling flags mean; the other options have flags of their own, or none. */
export type SamplingFlags = Omit<
  GenerateOptions,
  | 'signal'
  | 'speculate'
  | 'draft'
  | 'logprobs'
  | 'stopTokens'
  | 'logitBias'
  | 'contextShift'
  | 'priority'
  | 'deadline'
  | 'client'
  | 'tools'
  | 'schema'
  | 'orText'
>

export type SamplingName = keyof SamplingFlags

interface SamplingOption {
  readonly flag: string
  readonly help: string
  /** The value of a text, given what earlier flags of this name gave. */
  readonly parse: (text: string, earlier: readonly string[] | undefined) => unknown
}

/** What sampling flags that are not given leave to the model. */
const MODELS = "(default: the model's)"

export const SAMPLING_OPTIONS: Readonly<Record<SamplingName, SamplingOption>> = {
  maxTokens: {
    flag: '-n, --max-tokens <count>',
    help: 'most tokens to generate (default: 256)',
    parse: wholeNumber({ min: 1 }),
  },
  temperature: {
    flag: '--temperature <value>',
    help: `0 takes the likeliest token ${MODELS}`,
    parse: decimalNumber({ min: 0 }),
  },
  topK: {
    flag: '--top-k <count>',
    help: `draw from the k likeliest; 0: all ${MODELS}`,
    parse: wholeNumber({ min: 0 }),
  },
  topP: {
    flag: '--top-p <p>',
    help: `draw from a share p; 1: all ${MODELS}`,
    parse: decimalNumber({ above: 0, max: 1 }),
  },
  minP: {
    flag: '--min-p <p>',
    help: `at least p times the likeliest; 0: all ${MODELS}`,
    parse: decimalNumber({ min: 0, below: 1 }),
  },
  repetitionPenalty: {
    flag: '--repetition-penalty <value>',
    help: `of tokens so far; 1: none ${MODELS}`,
    parse: decimalNumber({ above: 0 }),
  },
  frequencyPenalty: {
    flag: '--frequency-penalty <value>',
    help: `per earlier occurrence; 0: none ${MODELS}`,
    parse: decimalNumber({}),
  },
  presencePenalty: {
    flag: '--presence-penalty <value>',
    help: `if it occurred; 0: none ${MODELS}`,
    parse: decimalNumber({}),
  },
  seed: {
    flag: '--seed <number>',
    help: 'repeats a text exactly (default: another one each time)',
    parse: wholeNumber({ min: 0 }),
  },
  stop: {
    flag: '--stop <text>',
    help: 'ends before this text; may be given several times (default: none)',
    parse: collectStop,
  },
}

/** Adds --max-tokens, the sampling flags, --seed and --stop. */
export function addSamplingFlags(command: Command): Command {
  for (const { flag, help, parse } of Object.values(SAMPLING_OPTIONS)) {
    command.option<unknown>(flag, help, parse as (text: string) => unknown)
  }
  return command
}

/** The sampling flags among others. */
export function pickSettings(flags: SamplingFlags): SamplingFlags {
  const names = Object.keys(SAMPLING_OPTIONS) as SamplingName[]
  return withoutUnset(Object.fromEntries(names.map((name) => [name, flags[name]])))
}

export function generateOptions(flags: SamplingFlags, signal: AbortSignal): GenerateOptions {
  return { ...pickSettings(flags), signal }
}

function collectStop(text: string, earlier: readonly string[] = []): string[] {
  if (text === '') throw new InvalidArgumentError('Expected at least one character.')
  return [...earlier, text]
}
