/**
 * Makes the tokenizer of a vocabulary, wherever that came from.
 *
 * Special tokens come from two places only: the begin token, and spellings that the caller
 * (`parseSpecial`) or the chat template put there. Text that people write never becomes one.
 */
import { UsageError } from '../errors.ts'
import { type AddedToken, AddedTokens } from './added-tokens.ts'
import { chooseTemplate, collectStopIds, isBogusTemplate } from './chat-format.ts'
import { ChatTemplate } from './chat-template.ts'
import { ContentMask, unusedCharacters } from './content-mask.ts'
import { PieceBytes } from './piece-bytes.ts'
import type { ChatMessage, EncodeOptions, TextTokenizer, TokenStream } from './text-tokenizer.ts'
import { createTokenStream, decodeTokens, type TokenBytes } from './token-stream.ts'
import type { Vocabulary } from './vocabulary.ts'
import { checkId } from './vocabulary-limits.ts'
import { type Words, wordsOf } from './words.ts'

const NO_BYTES = new Uint8Array(0)
const ROLES: ReadonlySet<string> = new Set(['system', 'user', 'assistant'])

/** @throws FormatError naming the part of the vocabulary that is damaged or not supported */
export function createTokenizer(vocabulary: Vocabulary): TextTokenizer {
  return new VocabularyTokenizer(vocabulary)
}

class VocabularyTokenizer implements TextTokenizer {
  readonly vocabSize: number
  readonly bosId: number | undefined
  readonly stopIds: readonly number[]
  readonly endId: number | undefined
  readonly description: string
  readonly chatTemplate: string | undefined
  readonly #addBos: boolean
  readonly #unknownId: number | undefined
  readonly #words: Words
  readonly #pieces: PieceBytes
  readonly #added: AddedTokens
  readonly #contentMask: ContentMask
  readonly #template: ChatTemplate | undefined

  constructor(vocabulary: Vocabulary) {
    const { pieces, addedTokens, bosId, isBitnet, chatTemplate: given } = vocabulary
    const vocabSize = pieces.length
    this.vocabSize = vocabSize
    this.bosId = bosId === undefined ? undefined : checkId(bosId, 'bos_token_id', vocabSize)
    this.stopIds = collectStopIds(vocabulary.endIds, addedTokens).filter((id) => id < vocabSize)
    this.endId = vocabulary.appendedId
    const isCorrected = given !== undefined && isBogusTemplate(given)
    this.description =
      `${vocabulary.description}, ${vocabSize} tokens` +
      (isCorrected ? '; chat template corrected' : '')
    this.chatTemplate = chooseTemplate(given, { isBitnet, vocabSize })
    this.#addBos = vocabulary.addBos
    this.#unknownId = vocabulary.unknownId
    this.#words = wordsOf(vocabulary)
    const literal = new Map(addedTokens.map(({ id, content }) => [id, content]))
    this.#pieces = new PieceBytes(pieces, literal, this.#words)
    this.#added = new AddedTokens(this.#withControlTokens(addedTokens))
    this.#contentMask = new ContentMask(this.#added.specialTexts)
    if (this.chatTemplate !== undefined) {
      this.#template = new ChatTemplate(this.chatTemplate, {
        ...vocabulary.templateTokens,
        ...(bosId === undefined ? {} : { bos_token: this.#pieces.text(bosId) }),
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
    return decodeTokens(ids, this.#bytesOf(options.skipSpecial ?? true), this.#words)
  }

  tokenText(id: number): string {
    return this.#pieces.text(id)
  }

  stream(options: { continues?: boolean } = {}): TokenStream {
    const dropLeadingSpace = this.#words.dropLeadingSpace && options.continues !== true
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
    const ids = this.#words.encode(text, isFirst)
    if (!ids.some((id) => id !== this.#unknownId && this.#added.isSpecial(id))) return ids
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
    const { bosId } = this
    if (addBos && this.#addBos && bosId !== undefined && ids[0] !== bosId) ids.unshift(bosId)
    return ids
  }

  /** Begin and end tokens steer the model whatever their file calls them. */
  #withControlTokens(added: readonly AddedToken[]): AddedToken[] {
    const control = new Set(this.stopIds)
    if (this.bosId !== undefined) control.add(this.bosId)
    const listed = new Set(added.map(({ id }) => id))
    const missing = [...control].filter((id) => !listed.has(id))
    return [
      ...added.map((token) =>
        control.has(token.id) && !token.special ? { ...token, special: true } : token,
      ),
      ...missing.map((id) => ({ id, content: this.#pieces.piece(id) ?? '', special: true })),
    ]
  }

  #bytesOf(skipSpecial: boolean): TokenBytes {
    if (!skipSpecial) return (id) => this.#pieces.bytes(id)
    return (id) => (this.#added.isSpecial(id) ? NO_BYTES : this.#pieces.bytes(id))
  }
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
