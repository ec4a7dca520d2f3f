/**
 * Which guesser a generation gets.
 */

import type { Runtime } from '../schedule/runtime.ts'
import type { ResolvedSpeculation } from '../validate-options.ts'
import { openDraftGuesser } from './draft-guesser.ts'
import { PromptLookup } from './prompt-lookup.ts'
import type { Guesser } from './speculation.ts'

/**
 * A guesser for one sequence of `positions` positions; its owner disposes of it.
 *
 * @param earlier the one of the answer before in the same conversation: goes on, or is disposed of
 * @throws UsageError if the draft model cannot guess for `target`
 */
export function openGuesser(
  target: Runtime,
  speculation: ResolvedSpeculation | undefined,
  positions: number,
  earlier?: Guesser,
): Guesser | undefined {
  if (speculation !== undefined && earlier?.restart(speculation)) return earlier
  earlier?.dispose()
  if (speculation === undefined) return undefined
  const { draft, maxTokens } = speculation
  return draft === undefined
    ? new PromptLookup(maxTokens)
    : openDraftGuesser(draft, target, positions, maxTokens)
}
