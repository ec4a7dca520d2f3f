/**
 * The vocabulary of Llama 3's `tokenizer.model`, which is also BitNet b1.58 2B-4T's: one line per piece
 * with its bytes in base64 and its rank, lower ranks joining first. The 256 special tokens are not in
 * the file; they follow the pieces, in the order of the model's published code.
 */
import type { FormatError } from '../errors.ts'
import { SOME, type Steps } from '../steps.ts'
import { bytesToAlphabet } from './byte-alphabet.ts'
import { type FilesBeside, readTemplates } from './read-json.ts'
import { addedByType, TOKEN_TYPE, type Vocabulary } from './vocabulary.ts'
import { checkCount, damaged, MAX_PIECE_CHARS, MAX_PIECES } from './vocabulary-limits.ts'

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

/** @throws FormatError naming the line that is damaged */
export function* readTiktoken(file: Uint8Array, beside: FilesBeside = {}): Steps<Vocabulary> {
  const ranked = yield* readPieces(file)
  const base = ranked.length
  const pieces = [...ranked, ...specialTexts()]
  const types = new Uint8Array(pieces.length).fill(TOKEN_TYPE.normal)
  types.fill(TOKEN_TYPE.control, base)
  return {
    description: 'tokenizer.model: tiktoken BPE',
    pieces,
    types,
    addedTokens: addedByType(pieces, types, 'tokenizer.model'),
    model: { kind: 'ranks' },
    bosId: base,
    addBos: true,
    eosId: base + 1,
    padId: undefined,
    unknownId: undefined,
    endIds: [base + 1],
    appendedId: undefined,
    ...readTemplates(beside),
    isBitnet: beside.config?.model_type === 'bitnet',
    templateTokens: { eos_token: NAMED_SPECIALS[1] },
  }
}

function specialTexts(): string[] {
  const texts = [...NAMED_SPECIALS]
  for (let i = 3; texts.length < SPECIAL_COUNT; i++) texts.push(`<|reserved_special_token_${i}|>`)
  return texts
}

/** Pieces in byte-level notation, by rank. */
function* readPieces(file: Uint8Array): Steps<string[]> {
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
    if (i % SOME === SOME - 1) yield
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
  const at = `line ${line + 1}`
  const expected = `Expected tokenizer.model to have a piece in base64 and its rank ${line} on ${at}`
  return damaged(at, `${expected}, got something else.`, cause)
}
