/**
 * From what a caller writes to token ids, and whether they fit the context.
 */
import { isObject } from '../checks.ts'
import { ContextOverflowError, UsageError } from '../errors.ts'
import { fail } from '../option-checks.ts'
import type { Steps } from '../steps.ts'
import {
  type ChatMessage,
  type GivenMessage,
  hasContent,
  ROLES,
  type TextPart,
  type TextTokenizer,
  type ToolDescription,
} from '../tokenizer/text-tokenizer.ts'
import type { Prompt } from './language-model.ts'

/**
 * Ids of a text with the model's begin token, or of a conversation in its chat format with the
 * beginning of an answer.
 *
 * @throws UsageError if the prompt is of another type or has no tokens, or if it is a text with tools
 */
export function* encodePrompt(
  tokenizer: TextTokenizer,
  prompt: Prompt,
  tools?: readonly ToolDescription[],
): Steps<readonly number[]> {
  if (typeof prompt !== 'string') {
    const messages = checkMessages('prompt', prompt)
    if (messages.length === 0) throw new UsageError('Expected at least one message, got none.')
    return yield* tokenizer.encodeChatSteps(messages, { addGenerationPrompt: true, tools })
  }
  if (tools !== undefined) {
    throw new UsageError('Expected messages beside tools, got a text, which no chat template sees.')
  }
  const ids = yield* tokenizer.encodeSteps(prompt)
  if (ids.length === 0) {
    throw new UsageError(
      'Expected a prompt with at least one token, got an empty text, and this model has no begin ' +
        'token. Give it some text to continue.',
    )
  }
  return ids
}

/**
 * Messages as chat templates know them: what is said in parts is one text.
 *
 * @throws UsageError if it is no list of messages
 */
export function checkMessages(
  name: string,
  messages: readonly GivenMessage[],
): readonly ChatMessage[] {
  if (!Array.isArray(messages)) fail(name, 'an array of messages', messages)
  return (messages as readonly GivenMessage[]).map((given, i) => {
    const message = withWholeText(given)
    if (typeof message !== 'object' || message === null) {
      fail(`${name}[${i}]`, 'an object with role and content', message)
    }
    if (!ROLES.includes(message.role)) {
      fail(`${name}[${i}].role`, '"system", "user", "assistant" or "tool"', message.role)
    }
    if (!hasContent(message)) {
      const expected = Array.isArray(message.content)
        ? 'a list of {type: "text", text}'
        : 'a string'
      fail(`${name}[${i}].content`, expected, message.content)
    }
    return message
  })
}

/** Anything but a message in parts of text as it is. */
export function withWholeText(message: unknown): ChatMessage {
  const content: unknown = isObject(message) ? message['content'] : undefined
  const isText = (part: unknown): part is TextPart =>
    isObject(part) && part['type'] === 'text' && typeof part['text'] === 'string'
  if (!Array.isArray(content) || !content.every(isText)) return message as ChatMessage
  return { ...(message as ChatMessage), content: content.map(({ text }) => text).join('') }
}

/**
 * @param what the subject of the message, e.g. "the prompt"
 * @param remedy what to do when it is too long
 * @throws ContextOverflowError if there is no room for the ids and one more token
 */
export function checkRoom(
  what: string,
  ids: readonly number[],
  positions: number,
  remedy = 'Shorten it.',
): void {
  if (ids.length < positions) return
  throw new ContextOverflowError(
    `Expected ${what} and an answer to fit a context of ${positions} tokens, got ${ids.length} ` +
      `tokens before the answer. ${remedy}`,
    { needed: ids.length + 1, available: positions },
  )
}
