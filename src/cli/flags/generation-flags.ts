/**
 * Flags that say how tokens are drawn.
 */
import { type Command, InvalidArgumentError } from 'commander'
import type { GenerateOptions } from '../../generate/options.ts'
import { decimalNumber, wholeNumber, withoutUnset } from './flag-values.ts'

/** What the sampling flags mean; the other options have flags of their own, or none. */
export type SamplingFlags = Omit<GenerateOptions, 'signal' | 'speculate' | 'draft' | 'logprobs'>

/** Adds --max-tokens, the sampling flags, --seed and --stop. */
export function addSamplingFlags(command: Command): Command {
  return command
    .option(
      '-n, --max-tokens <count>',
      'most tokens to generate (default: 256)',
      wholeNumber({ min: 1 }),
    )
    .option('--temperature <value>', '0 takes the likeliest token', decimalNumber({ min: 0 }))
    .option('--top-k <count>', 'draw from the k likeliest; 0: all', wholeNumber({ min: 0 }))
    .option('--top-p <p>', 'draw from a share p; 1: all', decimalNumber({ above: 0, max: 1 }))
    .option('--min-p <p>', 'at least p times the likeliest', decimalNumber({ min: 0, below: 1 }))
    .option('--repetition-penalty <value>', '1: none', decimalNumber({ above: 0 }))
    .option('--frequency-penalty <value>', 'per earlier occurrence; 0: none', decimalNumber({}))
    .option('--presence-penalty <value>', 'if it occurred; 0: none', decimalNumber({}))
    .option('--seed <number>', 'repeats a text exactly', wholeNumber({ min: 0 }))
    .option('--stop <text>', 'ends before this text; may be given several times', collectStop)
}

export function generateOptions(flags: SamplingFlags, signal: AbortSignal): GenerateOptions {
  const { maxTokens, temperature, topK, topP, minP, seed, stop } = flags
  const { repetitionPenalty, frequencyPenalty, presencePenalty } = flags
  const penalties = { repetitionPenalty, frequencyPenalty, presencePenalty }
  const sampling = { maxTokens, temperature, topK, topP, minP, ...penalties, seed, stop }
  return { ...withoutUnset(sampling), signal }
}

function collectStop(text: string, earlier: readonly string[] = []): string[] {
  if (text === '') throw new InvalidArgumentError('Expected at least one character.')
  return [...earlier, text]
}
