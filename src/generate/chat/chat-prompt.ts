/**
 * Token ids of the next turn of a conversation, so that they begin with what the cache holds.
 *
 * Rendering the whole conversation anew would not do: a template may trim an answer, and a tokenizer
 * may cut its text into other tokens than the model chose. So the ids that were really computed are
 * kept, and only what the template puts after an answer is taken from a new rendering.
 */
import type { ChatMessage, TextTokenizer, ToolDescription } from '../../tokenizer/text-tokenizer.ts'

/** A conversation up to and including an answer, as ids. */
export interface Transcript {
  /** What the template made of the messages before the answer, with the beginning of the answer. */
  readonly rendered: readonly number[]
  /** What was computed: the prompt of that turn and the answer's ids, without an end token. */
  readonly ids: readonly number[]
}

/**
 * The prompt of a turn: the transcript, what closes its answer, and what opens the next one. It is the
 * next transcript too, once the answer's ids stand after its own.
 *
 * The three renderings must compose for that: `history` without its answer, `history`, and `history`
 * with the user's message must each begin with the one before, and after the answer a token must
 * come that ends answers. For a template that does otherwise, the prompt is the rendering itself.
 *
 * @param history messages so far; if there is a transcript, the last one is its answer
 * @param user the new message
 * @param tools those of this turn
 */
export function nextTurn(
  tokenizer: TextTokenizer,
  history: readonly ChatMessage[],
  transcript: Transcript | undefined,
  user: ChatMessage,
  tools?: readonly ToolDescription[],
): Transcript {
  const rendered = tokenizer.encodeChat([...history, user], { addGenerationPrompt: true, tools })
  if (transcript === undefined) return { rendered, ids: rendered }
  const closed = tokenizer.encodeChat(history, { addGenerationPrompt: false, tools })
  const { length } = transcript.rendered
  if (commonLength(closed, transcript.rendered) < length) return { rendered, ids: rendered }
  if (commonLength(rendered, closed) < closed.length) return { rendered, ids: rendered }
  // An answer's own text never encodes to an end token, so the last one is the template's.
  const closing = closed.findLastIndex((id) => tokenizer.stopIds.includes(id))
  if (closing < length) return { rendered, ids: rendered }
  return { rendered, ids: [...transcript.ids, ...rendered.slice(closing)] }
}

/** Length of the longest common beginning. */
export function commonLength(a: readonly number[], b: readonly number[]): number {
  const limit = Math.min(a.length, b.length)
  let n = 0
  while (n < limit && a[n] === b[n]) n++
  return n
}
