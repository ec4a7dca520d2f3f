/**
 * From a text to the token sequences that perplexity scores: documents apart, one after the other as in
 * training, or lines as the BitNet b1.58 authors packed them.
 */
import { UsageError } from '../errors.ts'
import type { Steps } from '../steps.ts'
import type { ChatMessage, TextTokenizer } from '../tokenizer/text-tokenizer.ts'
import { type BosRule, prefixToken, rollingWindows } from './encode-request.ts'
import type { TokenSequence } from './score-plan.ts'

/** How a text is cut into documents, and these into sequences. */
export interface DocumentRules {
  /** Text between documents, e.g. "<|endoftext|>". Unset: the text is one document. */
  readonly separator?: string | undefined
  /** Whether each document begins with the begin token. Unset: as the tokenizer does. */
  readonly bos?: BosRule | undefined
  /** Score the end token after each document too. Unset: false. */
  readonly scoreEnd?: boolean | undefined
  /**
   * Documents one after the other, each with its begin and end token, in windows that cross their
   * borders, as in training; begin and end tokens are scored too. Unset: each document by itself.
   */
  readonly packed?: boolean | undefined
  /**
   * Each document is a conversation of lines such as "User: Hello"; what is scored is what the model's
   * chat template makes of it. The first who speaks is the user, the other one the assistant.
   */
  readonly chat?: boolean | undefined
}

interface Documents {
  readonly sequences: readonly TokenSequence[]
  /** What words and bytes are counted in. */
  readonly texts: readonly string[]
  readonly documents: number
  /** Lines too long for the authors' pieces. */
  readonly skippedLines: number
}

/** @throws UsageError if the model lacks a token or a template that the rules need */
export function* documentsOf(
  tokenizer: TextTokenizer,
  text: string,
  rules: DocumentRules,
  window: number,
  stride: number,
): Steps<Documents> {
  const { separator, scoreEnd, packed, chat } = rules
  const texts = (separator ? text.split(separator) : [text]).filter((part) => part.trim() !== '')
  const end = packed || scoreEnd ? [endToken(tokenizer)] : []
  const begin = beginsWithBos(tokenizer, rules) ? [prefixToken(tokenizer)] : []
  const documents: number[][] = []
  for (const [i, part] of texts.entries()) {
    const ids = chat
      ? yield* tokenizer.encodeChatSteps(conversationOf(part, i), { addGenerationPrompt: false })
      : yield* tokenizer.encodeSteps(part, { addBos: false })
    // Without a begin token a text's first token stands before all others, and is not scored.
    documents.push([...(chat ? [] : begin), ...ids, ...end])
    yield
  }
  const streams = packed ? [documents.flat()] : documents
  const sequences = streams.flatMap((tokens) => rollingWindows(tokens, window, stride))
  return { sequences, texts, documents: texts.length, skippedLines: 0 }
}

function beginsWithBos(tokenizer: TextTokenizer, { bos = 'auto' }: DocumentRules): boolean {
  if (bos !== 'auto') return bos === 'always'
  return tokenizer.bosId !== undefined && tokenizer.encode('a')[0] === tokenizer.bosId
}

function endToken({ stopIds }: TextTokenizer): number {
  const id = stopIds.at(0)
  if (id !== undefined) return id
  throw new UsageError('Expected a tokenizer with an end token, but this one has none.')
}

/**
 * Lines that are not empty, each with an end token, packed into pieces of at most `length` tokens that
 * start with the begin token. Longer lines are left out.
 */
export function* paperDocuments(
  tokenizer: TextTokenizer,
  text: string,
  length: number,
): Steps<Documents> {
  const begin = prefixToken(tokenizer)
  const end = endToken(tokenizer)
  const pieces: number[][] = []
  const texts: string[] = []
  let piece: number[] = [begin]
  let skippedLines = 0
  for (const line of text.split(/\r?\n/)) {
    if (line === '') continue
    const ids = [...(yield* tokenizer.encodeSteps(line, { addBos: false })), end]
    yield
    if (ids.length + 1 > length) {
      skippedLines++
      continue
    }
    if (piece.length + ids.length > length) {
      pieces.push(piece)
      piece = [begin]
    }
    piece.push(...ids)
    texts.push(`${line}\n`)
  }
  if (piece.length > 1) pieces.push(piece)
  const sequences = pieces.map((tokens) => ({ tokens, firstTarget: 1 }))
  return { sequences, texts, documents: pieces.length, skippedLines }
}

/** A name of at most 30 characters, and what is said; the colon may be a full-width one. */
const TURN = /^([^:：\n]{1,30})[:：]\s*(.*)$/

/**
 * A conversation written as lines, "User: Hello" or "A：こんにちは", as messages of a chat. The first
 * name is the user's, the first other one the assistant's. A line that begins with neither
 * goes on with the message before it, and so does one whose speaker has just spoken.
 *
 * @param index of the document, for errors
 * @throws UsageError if the first line has no name
 */
export function conversationOf(text: string, index: number): ChatMessage[] {
  const lines = text.trim().split(/\r?\n/)
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
