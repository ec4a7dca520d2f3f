/**
 * Documents of the forms that training text comes in: plain text, JSON lines with a text, JSON lines with a
 * conversation.
 */
import { isObject, type JsonObject } from '../../checks.ts'
import { FormatError } from '../../errors.ts'
import { parseObject } from '../../formats/json-text.ts'
import { type ChatMessage, hasContent, ROLES } from '../../tokenizer/text-tokenizer.ts'

export type TrainingDocument =
  | { readonly text: string }
  | { readonly messages: readonly ChatMessage[] }

/** What of a document is text: all of it, or what is said in turn. */
export function textsOf(document: TrainingDocument): readonly string[] {
  if ('text' in document) return [document.text]
  return document.messages.map(({ content }) => content ?? '')
}

/** What stands between documents of a plain text. */
export const DOCUMENT_SEPARATOR = '<|endoftext|>'

const EXPECTED =
  'an object with "text", with "messages" of a role and a content each, or with "turns" of "user" and ' +
  '"assistant" texts'

/**
 * The documents of a line of JSON: one, or one for each way in which a conversation is worded.
 *
 * @throws FormatError naming file and line
 */
export function documentsOfLine(line: string, file: string, number: number): TrainingDocument[] {
  const value = parseObject(line)
  const { text, messages, turns } = value ?? {}
  if (typeof text === 'string') return [{ text }]
  if (Array.isArray(messages) && messages.length > 0 && messages.every(isMessage)) {
    return [{ messages }]
  }
  if (Array.isArray(turns) && turns.length > 0 && turns.every(isTurn)) return wordings(turns)
  throw new FormatError(`Expected line ${number} of ${file} to be ${EXPECTED}.`, {
    field: `line ${number}`,
    path: file,
  })
}

function isMessage(value: unknown): value is ChatMessage {
  return isObject(value) && ROLES.some((role) => role === value['role']) && hasContent(value)
}

/** A turn, each side worded in several ways. */
interface Turn extends JsonObject {
  readonly user: readonly string[]
  readonly assistant: readonly string[]
}

function isTurn(value: unknown): value is Turn {
  const isTexts = (side: unknown) =>
    Array.isArray(side) && side.length > 0 && side.every((text) => typeof text === 'string')
  return isObject(value) && isTexts(value['user']) && isTexts(value['assistant'])
}

/** As many conversations as a side has wordings; sides with fewer say theirs again. */
function wordings(turns: readonly Turn[]): TrainingDocument[] {
  const count = Math.max(...turns.flatMap(({ user, assistant }) => [user.length, assistant.length]))
  return Array.from({ length: count }, (_, i) => ({
    messages: turns.flatMap(({ user, assistant }): ChatMessage[] => [
      { role: 'user', content: user[i % user.length] },
      { role: 'assistant', content: assistant[i % assistant.length] },
    ]),
  }))
}
