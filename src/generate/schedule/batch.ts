/**
 * Many prompts in shared passes. What a prompt gives is what it gives alone: sequences share no state
 * but the pass, and prompt i draws with the seed of its own (seedAt).
 */
import { isWhole } from '../../checks.ts'
import { UsageError } from '../../errors.ts'
import { fail, type OptionRule, type OptionRules } from '../../option-checks.ts'
import type { Steps } from '../../steps.ts'
import { inTurns } from '../../turns.ts'
import type { BatchOptions, Prompt } from '../language-model.ts'
import type { GenerateResult } from '../options.ts'
import { checkRoom, encodePrompt } from '../prompt.ts'
import { seedAt } from '../sample/random.ts'
import { openGuesser } from '../speculate/open-guesser.ts'
import { checkGeneration, GENERATE_OPTIONS, resolveOptions } from '../validate-options.ts'
import type { Runtime } from './runtime.ts'
import type { Sequence } from './sequence.ts'

/** Sequences that run side by side when the caller names no number. */
const DEFAULT_PARALLEL = 8

/** Answers to one prompt that can be asked for. */
export const MAX_ANSWERS = 64

/** What `n` may be. */
export const ANSWERS: OptionRule = {
  expected: `an integer from 1 to ${MAX_ANSWERS}`,
  holds: (value) => isWhole(value, 1, MAX_ANSWERS),
  also: ['num_return_sequences', 'best_of', 'num_answers', 'candidate_count'],
}

const BATCH_OPTIONS: OptionRules<BatchOptions> = {
  ...GENERATE_OPTIONS,
  parallel: {
    expected: 'an integer >= 1',
    holds: (value) => isWhole(value, 1),
    also: ['batch_size', 'num_parallel', 'n_parallel', 'concurrency'],
  },
  n: ANSWERS,
}

/** @throws UsageError naming the first option that is out of its range */
function validateBatchOptions(options: BatchOptions): void {
  checkGeneration('generateBatch', options, BATCH_OPTIONS)
  if (options.draft !== undefined) {
    throw new UsageError(
      'Expected no draft model for a batch, got one: it guesses for one sequence at a time. ' +
        'Leave it out; `speculate: true` works in batches.',
    )
  }
}

/**
 * Runs all prompts, at most `options.parallel` at a time.
 *
 * @returns one result per prompt, in the order of the prompts
 * @throws UsageError | ContextOverflowError, or the signal's reason if it aborts while prompts are
 *   encoded, before any work; BackendError if a pass fails
 */
export async function generateBatch(
  runtime: Runtime,
  prompts: readonly Prompt[],
  options: BatchOptions,
): Promise<readonly GenerateResult[]> {
  runtime.assertUsable()
  validateBatchOptions(options)
  if (!Array.isArray(prompts)) fail('prompts', 'an array of prompts', prompts)
  if (prompts.length === 0) return []

  const resolved = resolveOptions(options, runtime.facts.defaults)
  const { contextLength } = runtime
  const { n = 1, parallel = DEFAULT_PARALLEL, deadline } = options
  const work = async (signal: AbortSignal): Promise<readonly GenerateResult[]> => {
    function* begin(prompt: Prompt, i: number): Steps<Sequence[]> {
      const promptIds = yield* encodePrompt(runtime.tokenizer, prompt, options.tools)
      checkRoom(`prompts[${i}]`, promptIds, contextLength)
      const positions = Math.min(contextLength, promptIds.length + resolved.maxTokens)
      const answers: Sequence[] = []
      for (let answer = 0; answer < n; answer++) {
        answers[answer] = runtime.newSequence({
          promptIds,
          options: { ...resolved, seed: seedAt(resolved.seed, i * n + answer) },
          positions,
          guesser: openGuesser(runtime, resolved.speculation, positions),
          leader: answers[0],
          signal,
        })
      }
      return answers
    }
    const sequences = (await inTurns(prompts, begin, options.signal)).flat()
    return runtime.generate(sequences, options, signal, parallel)
  }
  return runtime.run(options.signal, work, deadline)
}
