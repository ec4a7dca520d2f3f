/**
 * What guessing tokens ahead gains on a text: the same greedy answer without and with guesses, in turns,
 * so that a slow minute of the machine hits all of them (docs/speculation.md).
 */
import { type Summary, summarize } from '../bench/statistics.ts'
import { UsageError } from '../errors.ts'
import type { LanguageModel } from '../generate/language-model.ts'
import type { DraftModel, GenerateResult } from '../generate/options.ts'

/** 'lookup' guesses from repetitions in the text. */
export type Guesser = 'lookup' | DraftModel

export interface SpeculationOptions {
  readonly guessers: readonly Guesser[]
  readonly prompt: string
  readonly maxTokens: number
  /** Counted answers of each. */
  readonly runs: number
  readonly onStep?: ((what: string) => void) | undefined
  readonly signal: AbortSignal
}

export interface SpeculationGain {
  /** "prompt lookup", or the name of the draft model. */
  readonly guesser: string
  readonly promptTokens: number
  /** Tokens of the answer, which is the same without guesses. */
  readonly tokens: number
  /** Tokens per second after the first one. */
  readonly plainTokensPerSecond: Summary
  readonly tokensPerSecond: Summary
  /** Of the tokens that were guessed, those that the model agreed with. */
  readonly acceptanceRate: number
  /** Without guesses 1. */
  readonly tokensPerPass: number
}

/**
 * Penalties are the model's own, as in `generate` with temperature 0.
 *
 * @throws UsageError if the answer is too short for a speed, or what `generate` throws
 */
export async function measureSpeculation(
  model: LanguageModel,
  options: SpeculationOptions,
): Promise<SpeculationGain[]> {
  const ways = [undefined, ...options.guessers].map((guesser) => ({
    guesser,
    rates: [] as number[],
  }))
  const answers: GenerateResult[] = []
  for (let run = 0; run <= options.runs; run++) {
    for (const [i, { guesser, rates }] of ways.entries()) {
      options.onStep?.(`${nameOf(guesser)}, ${run} of ${options.runs} answers`)
      const result = await answer(model, guesser, options)
      // The first of each warms up.
      if (run > 0) rates.push(result.timings.decodeTokensPerSecond)
      else answers[i] = checkedAnswer(result, answers[0])
    }
  }
  const [plain] = ways
  return ways.slice(1).map(({ guesser, rates }, i) => {
    const { usage, speculation } = answers[i + 1]
    return {
      guesser: nameOf(guesser),
      promptTokens: usage.promptTokens,
      tokens: usage.completionTokens,
      plainTokensPerSecond: summarize(plain.rates),
      tokensPerSecond: summarize(rates),
      acceptanceRate: speculation?.acceptanceRate ?? 0,
      tokensPerPass: usage.completionTokens / (speculation?.passes ?? usage.completionTokens),
    }
  })
}

async function answer(
  model: LanguageModel,
  guesser: Guesser | undefined,
  { prompt, maxTokens, signal }: SpeculationOptions,
): Promise<GenerateResult> {
  const guesses =
    guesser === undefined ? {} : guesser === 'lookup' ? { speculate: true } : { draft: guesser }
  const { result } = model.generate(prompt, { ...guesses, maxTokens, temperature: 0, signal })
  const done = await result
  signal.throwIfAborted()
  return done
}

/** Guesses change how fast a text comes, never the text: another one is a mistake of ours. */
function checkedAnswer(result: GenerateResult, plain = result): GenerateResult {
  if (result.tokenIds.length < 2) {
    throw new UsageError(
      `Expected an answer of two tokens or more to measure guesses on, got ${result.tokenIds.length}. ` +
        'Give another prompt.',
    )
  }
  if (result.tokenIds.join() !== plain.tokenIds.join()) {
    throw new Error('Guessing ahead has changed a greedy text, which it must never do.')
  }
  return result
}

function nameOf(guesser: Guesser | undefined): string {
  if (guesser === undefined) return 'without guesses'
  return guesser === 'lookup' ? 'prompt lookup' : guesser.name
}
