/** When ids that were computed may stand for a conversation's beginning, and when it is rendered anew. */
import { describe, expect, test } from 'vitest'
import type { ChatMessage, TextTokenizer } from '../../tokenizer/text-tokenizer.ts'
import { nextTurn } from './chat-prompt.ts'

const END = 9
const QUESTION: ChatMessage = { role: 'user', content: 'q' }
const ANSWER: ChatMessage = { role: 'assistant', content: 'a' }

/** What the template makes of the history with its answer, and of that with another question. */
const tokenizer = (closed: number[], rendered: number[]) =>
  ({
    stopIds: [END],
    encodeChat: (messages: readonly ChatMessage[]) => (messages.length === 2 ? closed : rendered),
  }) as unknown as TextTokenizer

describe('the prompt of a turn', () => {
  // The question is closed by an end token too, at 2; the answer was computed as 7 and not as 5.
  const transcript = { rendered: [1, 2, END, 3], ids: [1, 2, END, 3, 7] }
  const next = (closed: number[], rendered: number[]) =>
    nextTurn(tokenizer(closed, rendered), [QUESTION, ANSWER], transcript, QUESTION)

  test('keeps what was computed, and takes what closes the answer from the template', () => {
    const rendered = [1, 2, END, 3, 5, END, 2, END, 3]
    expect(next([1, 2, END, 3, 5, END], rendered)).toEqual({
      rendered,
      ids: [1, 2, END, 3, 7, END, 2, END, 3],
    })
  })

  test('is rendered anew where no end token comes behind the answer', () => {
    const rendered = [1, 2, END, 3, 5, 2, END, 3]
    expect(next([1, 2, END, 3, 5], rendered)).toEqual({ rendered, ids: rendered })
  })

  test('is rendered anew where the renderings do not begin alike', () => {
    const rendered = [1, 2, END, 3, 5, END, 2, END, 3]
    expect(next([1, 4, END, 3, 5, END], rendered).ids).toEqual(rendered)
    expect(next([1, 2, END, 3, 6, END], rendered).ids).toEqual(rendered)
  })
})
