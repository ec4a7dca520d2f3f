/**
 * A tokenizer from Llama 3's `tokenizer.model`, which is also BitNet b1.58 2B-4T's: one line per piece
 * with its bytes in base64 and its rank, lower ranks joining first. The 256 special tokens are not in
 * the file; they follow the pieces, in the order of the model's published code.
 */
import { FormatError } from '../errors.ts'
import type { AddedToken } from './added-tokens.ts'
import { bytesToAlphabet, textToAlphabet } from './byte-alphabet.ts'
import { chooseTemplate, collectStopIds } from './chat-format.ts'
import { createTokenizer } from './create.ts'
import { checkCount, MAX_PIECE_CHARS, MAX_PIECES } from './limits.ts'
import { MergeEncoder } from './merge-encoder.ts'
import { LLAMA3_SPLIT } from './pre-tokenizers.ts'
import type { TextTokenizer } from './text-tokenizer.ts'
import { Vocabulary } from './vocabulary.ts'
import { splitter, type WordEncoder } from './word-encoder.ts'

const SPECIAL_COUNT = 256
const NAMED_SPECIALS: readonly string[] = [
  '<|begin_of_text|>',
  '<|end_of_text|>',
  '<|reserved_special_token_0|>',
  '<|reserved_special_token_1|>',
  '<|finetune_right_pad_id|>',
  '<|reserved_special_token_2|>',
  '<|start_header_id|>',
  '<|end_header_id|>',
  '<|eom_id|>',
  '<|eot_id|>',
]

/** Words are short and repeat; the cache starts anew when it is full. */
const MAX_CACHED_WORDS = 20_000
const MAX_CACHED_WORD_CHARS = 64

interface TiktokenOptions {
  /** The model's own template, if it has one. */
  readonly chatTemplate?: string
  /** The model is a BitNet: with this vocabulary it is 2B-4T, whose chat format is known. */
  readonly isBitnet?: boolean
}

/** @throws FormatError naming the line that is damaged */
export function tokenizerFromTiktoken(
  file: Uint8Array,
  options: TiktokenOptions = {},
): TextTokenizer {
  const pieces = readPieces(file)
  const base = pieces.length
  const addedTokens = specialTexts().map(
    (content, i): AddedToken => ({ id: base + i, content, special: true }),
  )
  const bosId = base
  return createTokenizer({
    description: `tokenizer.model: tiktoken BPE, ${base + SPECIAL_COUNT} tokens`,
    vocabulary: new Vocabulary([...pieces, ...addedTokens.map(({ content }) => content)], {
      notation: 'byte-level',
      literal: new Map(addedTokens.map(({ id, content }) => [id, content])),
    }),
    encodeWords: rankEncoder(pieces),
    addedTokens,
    bosId,
    addBos: true,
    unknownId: undefined,
    endId: undefined,
    stopIds: collectStopIds([base + 1], addedTokens),
    chatTemplate: chooseTemplate(options.chatTemplate, {
      isBitnet: options.isBitnet ?? false,
      vocabSize: base + SPECIAL_COUNT,
    }),
    templateTokens: { eos_token: NAMED_SPECIALS[1] },
    dropLeadingSpace: false,
  })
}

function specialTexts(): string[] {
  const texts = [...NAMED_SPECIALS]
  for (let i = 3; texts.length < SPECIAL_COUNT; i++) texts.push(`<|reserved_special_token_${i}|>`)
  return texts
}

/** Pieces in byte-level notation, by rank. */
function readPieces(file: Uint8Array): string[] {
  const lines = new TextDecoder('latin1').decode(file).split('\n')
  if (lines.at(-1) === '') lines.pop()
  checkCount(lines.length, 'tokenizer.model', MAX_PIECES)
  const pieces: string[] = []
  for (const [i, line] of lines.entries()) {
    const [base64, rank] = line.trimEnd().split(' ')
    if (base64 === '' || base64.length > MAX_PIECE_CHARS || Number(rank) !== i) {
      throw damagedLine(i)
    }
    pieces.push(decodePiece(base64, i))
  }
  if (pieces.length === 0) throw damagedLine(0)
  return pieces
}

function decodePiece(base64: string, line: number): string {
  let binary: string
  try {
    binary = atob(base64)
  } catch (cause) {
    throw damagedLine(line, cause)
  }
  return bytesToAlphabet(Uint8Array.from(binary, (character) => character.charCodeAt(0)))
}

function damagedLine(line: number, cause?: unknown): FormatError {
  return new FormatError(
    `Expected tokenizer.model to have a piece in base64 and its rank ${line} on line ${line + 1}, ` +
      'got something else. The file is damaged; fetch it again.',
    { field: `line ${line + 1}`, cause },
  )
}

function rankEncoder(pieces: readonly string[]): WordEncoder {
  const ids = new Map(pieces.map((piece, id) => [piece, id]))
  const merges = new MergeEncoder(ids, (id) => id)
  const split = splitter(LLAMA3_SPLIT)
  const cache = new Map<string, readonly number[]>()
  const encodeWord = (word: string): readonly number[] => {
    const known = cache.get(word)
    if (known !== undefined) return known
    const piece = textToAlphabet(word)
    const whole = ids.get(piece)
    const out: number[] = whole === undefined ? [] : [whole]
    // Llama 3 has all 256 bytes as pieces; a file without them cannot show such a byte.
    if (whole === undefined) merges.encode(piece, out, () => {})
    if (cache.size >= MAX_CACHED_WORDS) cache.clear()
    if (word.length <= MAX_CACHED_WORD_CHARS) cache.set(word, out)
    return out
  }
  return (text) => split(text).flatMap(encodeWord)
}
