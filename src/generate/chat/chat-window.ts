/**
 * Which part of a conversation a model is shown where the whole does not fit its context: the system
 * message, and the latest exchanges.
 */
import type { ChatMessage } from '../../tokenizer/text-tokenizer.ts'

/**
 * Texts longer than this for each position of the context are left out without being encoded: hardly any
 * token stands for so many characters, and a file may hold a conversation of any length.
 */
const MAX_CHARACTERS_PER_TOKEN = 32

/** The messages that open a conversation and are never left out. */
export function openingOf(messages: readonly ChatMessage[]): readonly ChatMessage[] {
  const first = messages.findIndex(({ role }) => role !== 'system')
  return first < 0 ? messages : messages.slice(0, first)
}

/**
 * How many messages behind the opening to leave out: none if all have at most `limit` tokens, else the
 * fewest such that what is left begins with a user's message and has; all if nothing does.
 *
 * @param rest messages behind the opening
 * @param tokensOf tokens of the prompt that shows these messages; fewer messages have no more tokens
 */
export function forgettable(
  rest: readonly ChatMessage[],
  limit: number,
  tokensOf: (shown: readonly ChatMessage[]) => number,
): number {
  const first = firstOfLength(rest, limit)
  if (first === 0 && tokensOf(rest) <= limit) return 0
  const starts = [...rest.keys()].filter((i) => rest[i].role === 'user')
  let low = starts.findIndex((start) => start >= first)
  if (low < 0) low = starts.length
  let high = starts.length
  while (low < high) {
    const middle = (low + high) >> 1
    if (tokensOf(rest.slice(starts[middle])) <= limit) high = middle
    else low = middle + 1
  }
  return starts[low] ?? rest.length
}

/** Where the last messages begin that are short enough to be encoded. */
function firstOfLength(rest: readonly ChatMessage[], limit: number): number {
  let left = limit * MAX_CHARACTERS_PER_TOKEN
  let first = rest.length
  while (first > 0 && left >= lengthOf(rest[first - 1])) {
    first--
    left -= lengthOf(rest[first])
  }
  return first
}

/** A message that calls tools may have no content. */
function lengthOf({ content }: Partial<ChatMessage>): number {
  return content?.length ?? 0
}
