/**
 * Puts a tokenizer together from its parts, wherever these came from: a vocabulary, a function that
 * encodes plain text, added tokens, and a chat template.
 *
 * Special tokens come from two places only: the begin token, and spellings that the caller
 * (`parseSpecial`) or the chat template put there. Text that people write never becomes one.
 */
import { UsageError } from '../errors.ts'
import { type AddedToken, AddedTokens } from './added-tokens.ts'
import { ChatTemplate, type TemplateTokens } from './chat-template.ts'
import { ContentMask, unusedCharacters } from './content-mask.ts'
import type { ChatMessage, EncodeOptions, TextTokenizer, TokenStream } from './text-tokenizer.ts'
import { createTokenStream, decodeTokens, type TokenBytes } from './token-stream.ts'
import type { Vocabulary } from './vocabulary.ts'
import type { WordEncoder } from './word-encoder.ts'

interface TokenizerParts {
  readonly description: string
  readonly vocabulary: Vocabulary
  readonly encodeWords: WordEncoder
  readonly addedTokens: readonly AddedToken[]
  readonly bosId: number | undefined
  /** Put the begin token in front unless a caller says otherwise. */
  readonly addBos: boolean
  /** Stands for characters the vocabulary lacks; plain text may turn into it. */
  readonly unknownId: number | undefined
  readonly stopIds: readonly number[]
  /** See TextTokenizer. */
  readonly endId: number | undefined
  readonly chatTemplate: string | undefined
  /** Further names for the template; bos_token is added here. */
  readonly templateTokens: TemplateTokens
  /** Encoding puts a space in front of a text, which decoding takes away. */
  readonly dropLeadingSpace: boolean
}

const NO_BYTES = new Uint8Array(0)
const ROLES: ReadonlySet<string> = new Set(['system', 'user', 'assistant'])

export function createTokenizer(parts: TokenizerParts): TextTokenizer {
  return new AssembledTokenizer(parts)
}

class AssembledTokenizer implements TextTokenizer {
  readonly vocabSize: number
  readonly bosId: number | undefined
  readonly stopIds: readonly number[]
  readonly endId: number | undefined
  readonly description: string
  readonly chatTemplate: string | undefined
  readonly #parts: TokenizerParts
  readonly #vocabulary: Vocabulary
  readonly #added: AddedTokens
  readonly #contentMask: ContentMask
  readonly #template: ChatTemplate | undefined

  constructor(parts: TokenizerParts) {
    this.#parts = parts
    this.#vocabulary = parts.vocabulary
    this.vocabSize = parts.vocabulary.size
    this.bosId = parts.bosId
    this.stopIds = parts.stopIds
    this.endId = parts.endId
    this.description = parts.description
    this.chatTemplate = parts.chatTemplate
    this.#added = new AddedTokens(withControlTokens(parts))
    this.#contentMask = new ContentMask(this.#added.specialTexts)
    if (parts.chatTemplate !== undefined) {
      this.#template = new ChatTemplate(parts.chatTemplate, {
        ...parts.templateTokens,
        ...(parts.bosId === undefined ? {} : { bos_token: parts.vocabulary.text(parts.bosId) }),
      })
    }
  }

  encode(text: string, options: EncodeOptions = {}): number[] {
    const sections = this.#added.split(text, options.parseSpecial ?? false)
    const ids: number[] = []
    for (const [i, section] of sections.entries()) {
      if (section.kind === 'token') ids.push(section.id)
      else append(ids, this.#encodePlain(section.text, i === 0))
    }
    return this.#withBos(ids, options.addBos ?? true)
  }

  decode(ids: ArrayLike<number>, options: { skipSpecial?: boolean } = {}): string {
    return decodeTokens(ids, this.#bytesOf(options.skipSpecial ?? true), this.#parts)
  }

  tokenText(id: number): string {
    return this.#vocabulary.text(id)
  }

  stream(options: { continues?: boolean } = {}): TokenStream {
    const dropLeadingSpace = this.#parts.dropLeadingSpace && options.continues !== true
    return createTokenStream(this.#bytesOf(true), { dropLeadingSpace })
  }

  encodeChat(
    messages: readonly ChatMessage[],
    options: { addGenerationPrompt?: boolean } = {},
  ): number[] {
    const template = this.#template
    if (template === undefined) {
      throw new UsageError(
        'Expected a model with a chat template, but this is a base model without one. ' +
          'Give a prompt instead of messages.',
      )
    }
    messages.forEach(checkMessage)
    const contents = messages.map(({ content }) => content)
    const [mask, tokenBreak] = unusedCharacters(
      [template.source, ...this.#added.specialTexts, ...contents],
      2,
    )
    const rendered = template.render({
      messages: messages.map(({ role, content }) => ({
        role,
        content: this.#contentMask.apply(content, mask),
      })),
      addGenerationPrompt: options.addGenerationPrompt ?? true,
      tokenBreak,
    })
    return this.#withBos(this.#encodeRendered(rendered, mask, tokenBreak), true)
  }

  /** Special tokens first, while the mask still hides what is none; then the text between them. */
  #encodeRendered(rendered: string, mask: string, tokenBreak: string): number[] {
    const ids: number[] = []
    let isFirst = true
    for (const section of this.#added.split(rendered, true)) {
      if (section.kind === 'token') {
        ids.push(section.id)
        isFirst = false
        continue
      }
      for (const stretch of section.text.replaceAll(mask, '').split(tokenBreak)) {
        for (const part of this.#added.split(stretch, false)) {
          if (part.kind === 'token') ids.push(part.id)
          else append(ids, this.#encodePlain(part.text, isFirst))
          isFirst = false
        }
      }
    }
    return ids
  }

  /**
   * Text without added tokens. Merges of an odd vocabulary may still join plain characters to a
   * special token; the text is then cut in two until they no longer meet.
   */
  #encodePlain(text: string, isFirst: boolean): number[] {
    const ids = this.#parts.encodeWords(text, isFirst)
    const { unknownId } = this.#parts
    if (!ids.some((id) => id !== unknownId && this.#added.isSpecial(id))) return ids
    const characters = Array.from(text)
    if (characters.length < 2) return []
    const middle = characters.length >> 1
    return [
      ...this.#encodePlain(characters.slice(0, middle).join(''), isFirst),
      ...this.#encodePlain(characters.slice(middle).join(''), false),
    ]
  }

  /** The begin token once, also where a template or the text wrote it already. */
  #withBos(ids: number[], addBos: boolean): number[] {
    const { bosId, addBos: wantsBos } = this.#parts
    if (addBos && wantsBos && bosId !== undefined && ids[0] !== bosId) ids.unshift(bosId)
    return ids
  }

  #bytesOf(skipSpecial: boolean): TokenBytes {
    if (!skipSpecial) return (id) => this.#vocabulary.bytes(id)
    return (id) => (this.#added.isSpecial(id) ? NO_BYTES : this.#vocabulary.bytes(id))
  }
}

/** Begin and end tokens steer the model whatever their file calls them. */
function withControlTokens(parts: TokenizerParts): AddedToken[] {
  const control = new Set(parts.stopIds)
  if (parts.bosId !== undefined) control.add(parts.bosId)
  const listed = new Set(parts.addedTokens.map(({ id }) => id))
  const missing = [...control].filter((id) => !listed.has(id))
  return [
    ...parts.addedTokens.map((token) =>
      control.has(token.id) && !token.special ? { ...token, special: true } : token,
    ),
    ...missing.map((id) => ({ id, content: parts.vocabulary.piece(id) ?? '', special: true })),
  ]
}

function checkMessage(message: ChatMessage): void {
  if (ROLES.has(message.role) && typeof message.content === 'string') return
  throw new UsageError(
    'Expected messages with a role (system, user or assistant) and a text as content, ' +
      `got role ${String(message.role)} with content of type ${typeof message.content}.`,
  )
}

/** Without spreading into a call, whose arguments are limited in number. */
function append(ids: number[], more: readonly number[]): void {
  for (const id of more) ids.push(id)
}
