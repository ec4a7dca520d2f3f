/**
 * Makes the tokenizer of a vocabulary, wherever that came from.
 *
 * Special tokens come from two places only: the begin token, and spellings that the caller
 * (`parseSpecial`) or the chat template put there. Text that people write never becomes one.
 */
import { FormatError, UsageError } from '../errors.ts'
import { finish, MANY, type Steps } from '../steps.ts'
import { type AddedToken, AddedTokens, type Section } from './added-tokens.ts'
import { chooseTemplate, collectStopIds, isBogusTemplate } from './chat-format.ts'
import { chatTemplate } from './chat-template.ts'
import { contentMask, mapTexts, unusedCharacters } from './content-mask.ts'
import {
  type ChatMessage,
  hasContent,
  ROLES,
  type TextTokenizer,
  type ToolDescription,
} from './text-tokenizer.ts'
import { shownStream } from './token-stream.ts'
import { checkCall } from './tokenizer-options.ts'
import { TOKEN_TYPE, type Vocabulary } from './vocabulary.ts'
import { checkId } from './vocabulary-limits.ts'
import { wordsOf } from './words.ts'

const NO_BYTES = new Uint8Array(0)

/**
 * @param rows of the embedding that takes the ids; unset: any id will do
 * @throws FormatError naming the part of the vocabulary that is damaged or not supported, or which tokens
 *   have no row
 */
export function* createTokenizer(vocabulary: Vocabulary, rows?: number): Steps<TextTokenizer> {
  const { pieces, addedTokens, bosId, unknownId, templateTokens } = vocabulary
  const vocabSize = pieces.length
  if (rows !== undefined) checkRows(vocabulary, rows)
  const front = vocabulary.frontIds ?? (vocabulary.addBos && bosId !== undefined ? [bosId] : [])
  for (const id of front) checkId(id, 'post_processor special_tokens', vocabSize)
  if (bosId !== undefined) checkId(bosId, 'bos_token_id', vocabSize)
  const stopIds = collectStopIds(vocabulary.endIds, addedTokens).filter(
    (id) => id < (rows ?? vocabSize),
  )
  const given = vocabulary.chatTemplate
  const isCorrected = given !== undefined && isBogusTemplate(given)
  const template = chooseTemplate(given, { isBitnet: vocabulary.isBitnet, vocabSize })
  const words = yield* wordsOf(vocabulary)
  const added = new AddedTokens(withControlTokens(vocabulary, stopIds), words.normalize)
  const maskContent = contentMask(added.specialTexts)
  const bos = bosId === undefined ? {} : { bos_token: pieces[bosId] ?? '' }
  const format = (source: string | undefined) =>
    source === undefined
      ? undefined
      : { source, render: chatTemplate(source, { ...templateTokens, ...bos }) }
  const plainFormat = format(template)
  const toolFormat = format(vocabulary.toolTemplate) ?? plainFormat

  /**
   * Normal text without added tokens. Merges of an odd vocabulary may still join plain characters to a
   * special token; unless that is wanted, the text is then cut in two until they no longer meet.
   */
  function* encodePlain(text: string, startsText: boolean, parseSpecial: boolean): Steps<number[]> {
    const ids = yield* words.encode(text, startsText)
    if (parseSpecial || !ids.some((id) => id !== unknownId && added.isSpecial(id))) return ids
    const characters = Array.from(text)
    if (characters.length < 2) return []
    const middle = characters.length >> 1
    return [
      ...(yield* encodePlain(characters.slice(0, middle).join(''), startsText, false)),
      ...(yield* encodePlain(characters.slice(middle).join(''), false, false)),
    ]
  }

  function* encodeSections(
    sections: readonly Section[],
    ids: number[],
    parseSpecial = false,
  ): Steps<void> {
    for (const section of sections) {
      if (section.kind === 'token') ids.push(section.id)
      else append(ids, yield* encodePlain(section.text, section.startsText, parseSpecial))
      if (ids.length % MANY === 0) yield
    }
  }

  /** Special tokens first, while the mask still hides what is none; then the text between them. */
  function* encodeRendered(rendered: string, mask: string, tokenBreak: string): Steps<number[]> {
    const ids: number[] = []
    let startsText = true
    for (const section of yield* added.splitRendered(rendered)) {
      if (section.kind === 'token') ids.push(section.id)
      else {
        for (const stretch of section.text.replaceAll(mask, '').split(tokenBreak)) {
          yield* encodeSections(yield* added.split(stretch, false, startsText), ids)
          startsText = false
        }
      }
      startsText = false
    }
    return ids
  }

  /** What goes in front once, also where a template or the text wrote it already. */
  const withFront = (ids: number[], isWanted: boolean): number[] => {
    if (isWanted && !front.every((id, i) => ids[i] === id)) ids.unshift(...front)
    return ids
  }

  const encodeSteps: TextTokenizer['encodeSteps'] = function* (text, options = {}) {
    checkCall('encode', options)
    const { parseSpecial = false, addBos = true, addEnd = false } = options
    const ids: number[] = []
    // Half a surrogate pair is no text; it becomes U+FFFD, as wherever texts become UTF-8.
    const sections = yield* added.split(text.toWellFormed(), parseSpecial)
    yield* encodeSections(sections, ids, parseSpecial)
    const { appendedId } = vocabulary
    if (addEnd && appendedId !== undefined) ids.push(appendedId)
    return withFront(ids, addBos)
  }

  const encodeChatSteps: TextTokenizer['encodeChatSteps'] = function* (messages, options = {}) {
    checkCall('encodeChat', options)
    const { addGenerationPrompt = true, tools } = options
    const chosen = tools === undefined ? plainFormat : toolFormat
    if (chosen === undefined) {
      throw new UsageError(
        'Expected a model with a chat template, but this is a base model without one. ' +
          'Give a prompt instead of messages.',
      )
    }
    messages.forEach(checkMessage)
    if (tools !== undefined && !/\btools\b/.test(chosen.source)) {
      throw new UsageError(
        "Expected a model whose chat template takes tools, but this one's never looks at them. " +
          'Leave them out, or describe them in the system message.',
      )
    }
    const texts: string[] = []
    mapTexts([messages, tools ?? []], (text) => {
      texts.push(text)
      return text
    })
    const [mask, tokenBreak] = unusedCharacters([chosen.source, ...added.specialTexts, ...texts], 2)
    const hide = (text: string) => maskContent(text, mask)
    // The fields' names are the template's, what is in them the caller's.
    const masked = messages.map(({ role, ...fields }) => {
      const given = Object.entries(fields).filter(([, value]) => value !== undefined)
      const hidden = given.map(([name, value]) => [name, mapTexts(value, hide)])
      return { role, ...Object.fromEntries(hidden) }
    })
    const maskedTools = tools && (mapTexts(tools, hide) as ToolDescription[])
    const request = { messages: masked, tools: maskedTools, addGenerationPrompt }
    const rendered = chosen.render({ ...request, tokenBreak, mask })
    // A template writes the tokens of its model, the begin token not always among them.
    const isAlone = front.length === 1 && front[0] === bosId
    return withFront(yield* encodeRendered(rendered.toWellFormed(), mask, tokenBreak), isAlone)
  }

  const isShown = (id: number) => !added.isSpecial(id)

  return {
    vocabSize,
    bosId,
    stopIds,
    endId: vocabulary.appendedId,
    description:
      `${vocabulary.description}, ${vocabSize} tokens` +
      (isCorrected ? '; chat template corrected' : ''),
    chatTemplate: template,

    encode: (text, options) => finish(encodeSteps(text, options)),
    encodeSteps,

    decode(ids, options = {}) {
      checkCall('decode', options)
      if (options.skipSpecial === false) return words.decoder.decode(ids)
      const shown: number[] = []
      for (let i = 0; i < ids.length; i++) if (isShown(ids[i])) shown.push(ids[i])
      return words.decoder.decode(shown)
    },

    tokenText(id) {
      const alone = words.decoder.open(true)
      return alone.push(id) + alone.end()
    },

    tokenBytes: (id) =>
      pieces[id] === undefined || !isShown(id) ? NO_BYTES : words.decoder.bytesOf(id),

    stream(options = {}) {
      checkCall('stream', options)
      return shownStream(words.decoder, options.continues === true, isShown)
    },

    encodeChat: (messages, options) => finish(encodeChatSteps(messages, options)),
    encodeChatSteps,
  }
}

/**
 * Tokens without a row must not come out of a text. Gemma 3's text models have one for images, which nothing
 * puts there; what lies beyond the rows may be such special tokens and nothing else.
 */
export function checkRows({ pieces, types, addedTokens, bosId }: Vocabulary, rows: number): void {
  const idle = new Set(addedTokens.filter(({ special }) => special).map(({ id }) => id))
  if (bosId !== undefined) idle.delete(bosId)
  for (let id = rows; id < pieces.length; id++) {
    if (pieces[id] === undefined || idle.has(id) || types[id] === TOKEN_TYPE.unused) continue
    throw new FormatError(
      `Expected a tokenizer with at most as many tokens as the embedding has rows, ${rows}, got ` +
        `${pieces.length} tokens, among them ${JSON.stringify(pieces[id]?.slice(0, 60))} with id ${id}. ` +
        'Take the tokenizer that belongs to these weights.',
      { field: 'vocab_size' },
    )
  }
}

/** Begin and end tokens steer the model whatever their file calls them. */
function withControlTokens(
  { pieces, addedTokens, bosId }: Vocabulary,
  stopIds: readonly number[],
): AddedToken[] {
  const control = new Set(bosId === undefined ? stopIds : [...stopIds, bosId])
  const listed = new Set(addedTokens.map(({ id }) => id))
  const missing = [...control].filter((id) => !listed.has(id))
  return [
    ...addedTokens.map((token) => {
      return control.has(token.id) && !token.special ? { ...token, special: true } : token
    }),
    ...missing.map((id) => ({ id, content: pieces[id] ?? '', special: true })),
  ]
}

function checkMessage(message: ChatMessage): void {
  if (ROLES.includes(message.role) && hasContent(message)) return
  throw new UsageError(
    `Expected messages with a role (${ROLES.join(', ')}) and a text as content, got role ` +
      `${String(message.role)} with content of type ${typeof message.content}.`,
  )
}

/** Without spreading into a call, whose arguments are limited in number. */
function append(ids: number[], more: readonly number[]): void {
  for (const id of more) ids.push(id)
}
