/** What a saved state has of a conversation, beside its tokens. */
import { isObject, isWhole } from '../../checks.ts'
import { FormatError, UsageError } from '../../errors.ts'
import type { ChatMessage } from '../../tokenizer/text-tokenizer.ts'
import { checkMessages } from '../prompt.ts'
import type { SavedState } from '../state/state-file.ts'
import { openingOf } from './chat-window.ts'

export interface ChatNote {
  /** The whole conversation. */
  readonly messages: readonly ChatMessage[]
  /** Messages behind the opening that the model was not shown any more. */
  readonly forgotten: number
  /** Of the transcript, if the last message is an answer; the tokens are its ids then. */
  readonly rendered?: readonly number[]
}

/** @throws FormatError if there is none, or one that no session wrote */
export function chatNoteOf({ note, vocabSize }: SavedState): ChatNote {
  const chat = isObject(note) ? note['chat'] : undefined
  if (!isObject(chat)) throw wrong('a conversation in the saved state, got only what a prompt has')
  const { messages, forgotten, rendered } = chat
  let list: readonly ChatMessage[]
  try {
    list = checkMessages('messages', messages as readonly ChatMessage[])
  } catch (error) {
    if (error instanceof UsageError) throw wrong('messages in a saved conversation', error)
    throw error
  }
  if (!isWhole(forgotten, 0, list.length - openingOf(list).length)) {
    throw wrong(
      'the number of messages that are not shown any more to be one of a saved conversation',
    )
  }
  if (rendered === undefined) return { messages: list, forgotten }
  const isIds = Array.isArray(rendered) && rendered.every((id) => isWhole(id, 0, vocabSize - 1))
  if (!isIds || list.at(-1)?.role !== 'assistant') {
    throw wrong('the tokens of the last turn of a saved conversation')
  }
  return { messages: list, forgotten, rendered }
}

function wrong(expected: string, cause?: unknown): FormatError {
  return new FormatError(`Expected ${expected}.`, { field: 'chat', cause })
}
