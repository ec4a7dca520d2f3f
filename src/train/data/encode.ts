/** Documents as words of a token source. */
import type { ChatMessage, TextTokenizer } from '../../tokenizer/text-tokenizer.ts'
import { type TrainingDocument, textsOf } from './documents.ts'
import { NOT_LEARNT } from './token-source.ts'

/**
 * A document with the token that begins one and, of texts, one that ends one. Of a conversation, what the
 * assistant says is learnt, and that it ends.
 *
 * @throws UsageError for a conversation where the tokenizer has no chat template
 */
export function encodeDocument(document: TrainingDocument, tokenizer: TextTokenizer): number[] {
  if ('messages' in document) return encodeConversation(document.messages, tokenizer)
  const ids = tokenizer.encode(document.text)
  const [end] = tokenizer.stopIds
  return end === undefined ? ids : [...ids, end]
}

/** Bytes of UTF-8 that a document's texts have. */
export function textBytesOf(document: TrainingDocument): number {
  return textsOf(document).reduce((sum, text) => sum + new TextEncoder().encode(text).length, 0)
}

function encodeConversation(messages: readonly ChatMessage[], tokenizer: TextTokenizer): number[] {
  const words = tokenizer.encodeChat(messages, { addGenerationPrompt: false }).map(unlearnt)
  for (const [i, { role }] of messages.entries()) {
    if (role !== 'assistant') continue
    // What stands before the answer, and with it: a template only appends.
    const before = tokenizer.encodeChat(messages.slice(0, i), { addGenerationPrompt: true }).length
    const with_ = tokenizer.encodeChat(messages.slice(0, i + 1), { addGenerationPrompt: false })
    for (let at = before; at < with_.length; at++) words[at] = with_[at]
  }
  return words
}

function unlearnt(id: number): number {
  return id + NOT_LEARNT
}
