/**
 * Which guesser a generation gets.
 */
import { UsageError } from '../../errors.ts'
import { Runtime } from '../schedule/runtime.ts'
import type { ResolvedSpeculation } from '../validate-options.ts'
import { DraftGuesser } from './draft-guesser.ts'
import { PromptLookup } from './prompt-lookup.ts'
import type { Guesser } from './speculation.ts'

/** Text on which two tokenizers that are not the same are likely to differ. */
const PROBE = 'The 3 birds sang, didn’t they?\n\tむかしむかし、 été x = y[12] + 0.5;'

/**
 * A guesser for one sequence of `positions` positions; its owner disposes of it.
 *
 * @throws UsageError if the draft was disposed of, or its vocabulary is not that of `target`
 */
export function openGuesser(
  target: Runtime,
  speculation: ResolvedSpeculation | undefined,
  positions: number,
): Guesser | undefined {
  if (speculation === undefined) return undefined
  const { draft, maxTokens } = speculation
  if (draft === undefined) return new PromptLookup(maxTokens)
  const runtime = Runtime.of(draft)
  if (runtime === undefined) {
    throw new UsageError('Expected draft to be a model that loadModel gave, got another object.')
  }
  runtime.assertUsable()
  checkVocabulary(runtime, target)
  return new DraftGuesser(runtime, target, positions, maxTokens)
}

function checkVocabulary(draft: Runtime, target: Runtime): void {
  const [theirs, ours] = [draft, target].map(({ engine, tokenizer }) => ({
    tokens: `${engine.config.vocabSize} tokens of ${tokenizer.description}`,
    key: JSON.stringify([
      engine.config.vocabSize,
      tokenizer.encode(PROBE),
      tokenizer.stopIds.toSorted(),
    ]),
  }))
  if (theirs.key === ours.key) return
  throw new UsageError(
    `Expected a draft model with the same vocabulary, ${ours.tokens}, got ${draft.facts.name} with ` +
      `${theirs.tokens}. Use a smaller model of the same family.`,
  )
}
