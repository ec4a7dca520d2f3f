/**
 * What of a text goes on where the context is full: keys are rotated by their positions, so what stays behind is
 * computed again, as if nothing else had ever been there.
 */
import type { FullContext } from './sequence.ts'

/** The prompt, and the later half of what was generated. */
export function dropOldestHalf({ tokens, answerStart }: FullContext): FullContext {
  const dropped = Math.ceil((tokens.length - answerStart) / 2)
  return {
    answerStart,
    tokens: [...tokens.slice(0, answerStart), ...tokens.slice(answerStart + dropped)],
  }
}

/**
 * Another prompt, and as much of the answer's end as leaves half of the context to go on, or half of what the prompt
 * leaves.
 *
 * @param positions of the context, more than the prompt has
 */
export function answerBehind(
  prompt: readonly number[],
  { tokens, answerStart }: FullContext,
  positions: number,
): FullContext {
  const room = Math.max((positions >> 1) - prompt.length, (positions - prompt.length) >> 1)
  const answer = tokens.slice(answerStart)
  const kept = answer.slice(answer.length - Math.min(room, answer.length))
  return { answerStart: prompt.length, tokens: [...prompt, ...kept] }
}
