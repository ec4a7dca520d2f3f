/**
 * Conversations written as lines, "User: Hello" or "A：こんにちは", as messages of a chat.
 */
import { UsageError } from '../errors.ts'
import type { ChatMessage } from '../tokenizer/text-tokenizer.ts'

/** A name of at most 30 characters, and what is said; the colon may be a full-width one. */
const TURN = /^([^:：\n]{1,30})[:：]\s*(.*)$/

/**
 * The first name is the user's, the first other one the assistant's. A line that begins with neither
 * goes on with the message before it, and so does one whose speaker has just spoken.
 *
 * @param index of the document, for errors
 * @throws UsageError if the first line has no name
 */
export function conversationOf(text: string, index: number): ChatMessage[] {
  const lines = text.trim().split('\n')
  const user = TURN.exec(lines[0])?.[1]
  if (user === undefined) {
    throw new UsageError(
      'Expected conversations of lines such as "User: Hello", but document ' +
        `${index + 1} begins with "${lines[0].slice(0, 40)}". Without --chat it is scored as text.`,
    )
  }
  let assistant: string | undefined
  const turns: { role: 'user' | 'assistant'; content: string }[] = []
  for (const line of lines) {
    const [, name, said = ''] = TURN.exec(line) ?? []
    assistant ??= name === user ? undefined : name
    const isTurn = name !== undefined && (name === user || name === assistant)
    const role = name === user ? 'user' : 'assistant'
    const last = turns.at(-1)
    if (isTurn && last?.role !== role) turns.push({ role, content: said })
    else if (last !== undefined) last.content += `\n${isTurn ? said : line}`
  }
  return turns
}
