/**
 * The tokenizer as the rest of the library sees it, wherever its vocabulary came from.
 */
import type { JsonObject } from '../checks.ts'
import type { Steps } from '../steps.ts'

/**
 * One message of a conversation, as chat templates know it. Fields beyond these, as JSON has them, are handed
 * to the template too; most templates look at role and content alone.
 */
export interface ChatMessage {
  readonly role: 'system' | 'user' | 'assistant' | 'tool'
  /** What is said; may be left out, or null, at run time where there are tool_calls. */
  readonly content: string
  /** Who speaks, or which tool has answered. */
  readonly name?: string
  /** Tools that the assistant calls, as transformers and OpenAI write them. */
  readonly tool_calls?: readonly ToolCall[]
  /** The call that a message of role "tool" answers. */
  readonly tool_call_id?: string
}

/** A part of what is said, as OpenAI writes it. */
export interface TextPart {
  readonly type: 'text'
  readonly text: string
}

/** A message as it may be given: what is said may be in parts, which templates are shown as one text. */
export type GivenMessage = Omit<ChatMessage, 'content'> & {
  readonly content: string | readonly TextPart[]
}

export interface ToolCall {
  readonly id?: string
  readonly type?: string
  /** Most templates want the arguments as an object, some as the text of one. */
  readonly function: { readonly name: string; readonly arguments: unknown }
}

/**
 * A tool that a model may call, as transformers and OpenAI write it: {type: "function", function: {name,
 * description, parameters}}. It is handed to the template as it is.
 */
export type ToolDescription = JsonObject

/** Roles that a message may have. */
export const ROLES: readonly ChatMessage['role'][] = ['system', 'user', 'assistant', 'tool']

/** Whether a message says something, or calls tools. */
export function hasContent(message: Partial<ChatMessage>): boolean {
  if (typeof message.content === 'string') return true
  return (message.content ?? null) === null && Array.isArray(message.tool_calls)
}

/** How a text is encoded. */
export interface EncodeOptions {
  /** Put in front what the model wants there: the begin token, mostly. Default true. */
  readonly addBos?: boolean
  /** Put behind the text what belongs there when it is whole, as for embedding. Default false: it goes on. */
  readonly addEnd?: boolean
  /**
   * Read special tokens' names in the text as these tokens. Default false: in a user's text
   * "<|eot_id|>" is nine characters, not a command.
   */
  readonly parseSpecial?: boolean
}

/** How a conversation is written in a model's chat format. */
export interface ChatFormatOptions {
  /** Begin an answer behind it. Unset: true. */
  readonly addGenerationPrompt?: boolean
  /** Tools that the model may call. Unset: none. */
  readonly tools?: readonly ToolDescription[] | undefined
}

/** Texts to ids and back. */
export interface TextTokenizer {
  readonly vocabSize: number
  readonly bosId: number | undefined
  /** Ids that end an answer. */
  readonly stopIds: readonly number[]
  /** The token that belongs after a text that is embedded; undefined where none does. */
  readonly endId?: number | undefined
  /** Where the vocabulary came from, for people. */
  readonly description: string
  /** The Jinja chat template in use; undefined for a base model. */
  readonly chatTemplate: string | undefined

  encode(text: string, options?: EncodeOptions): number[]
  /** The same in steps of milliseconds: a text of megabytes takes seconds. */
  encodeSteps(text: string, options?: EncodeOptions): Steps<number[]>
  /** The text of ids. `skipSpecial` (default true) leaves special tokens out. */
  decode(ids: ArrayLike<number>, options?: { skipSpecial?: boolean }): string
  /** The text of one token as far as it can be shown alone, for tables and logs. */
  tokenText(id: number): string
  /**
   * The bytes of UTF-8 that a token adds within a text; none for special tokens and for ids that stand for
   * nothing. They are not to be written to.
   */
  tokenBytes(id: number): Uint8Array
  /**
   * A decoder for a stream of tokens: never emits half a character. All it emits, put together, is
   * what `decode` gives for the same ids. With `continues` the tokens go on from a text before them,
   * and a space at their front is part of it; some vocabularies write one in front of every text,
   * which is otherwise dropped.
   */
  stream(options?: { continues?: boolean }): TokenStream
  /**
   * Ids of a conversation in the model's chat format, special tokens only where the template puts
   * them.
   *
   * @throws UsageError if the model has no chat template, or none that takes the tools
   */
  encodeChat(messages: readonly ChatMessage[], options?: ChatFormatOptions): number[]
  /** The same in steps, once the template is rendered. Throws as encodeChat. */
  encodeChatSteps(messages: readonly ChatMessage[], options?: ChatFormatOptions): Steps<number[]>
}

/** Ids to text, one at a time. */
export interface TokenStream {
  /** The text that became certain with this token; may be empty. */
  push(id: number): string
  /** What is left at the end; incomplete bytes become U+FFFD. */
  end(): string
}
