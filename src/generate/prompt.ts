/**
 * From what a caller writes to token ids, and whether they fit the context.
 */
import { ContextOverflowError, UsageError } from '../errors.ts'
import { fail } from '../option-checks.ts'
import type { Steps } from '../tokenizer/steps.ts'
import {
  type ChatMessage,
  hasContent,
  ROLES,
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
    validateMessages('prompt', prompt)
    if (prompt.length === 0) throw new UsageError('Expected at least one message, got none.')
    return yield* tokenizer.encodeChatSteps(prompt, { addGenerationPrompt: true, tools })
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

/** @throws UsageError if `messages` is not a list of messages as chat templates know them */
export function validateMessages(name: string, messages: readonly ChatMessage[]): void {
  if (!Array.isArray(messages)) fail(name, 'an array of messages', messages)
  for (const [i, message] of messages.entries()) {
    if (typeof message !== 'object' || message === null) {
      fail(`${name}[${i}]`, 'an object with role and content', message)
    }
    if (!ROLES.includes(message.role)) {
      fail(`${name}[${i}].role`, '"system", "user", "assistant" or "tool"', message.role)
    }
    if (!hasContent(message)) {
      fail(`${name}[${i}].content`, 'a string', message.content)
    }
  }
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
