/**
 * The one form of every vocabulary, whatever file it came from. Readers (read-*.ts) bring GGUF keys,
 * tokenizer.json, SentencePiece's and tiktoken's tokenizer.model to it, create.ts makes the tokenizer
 * of it, and conversion writes it out again.
 */
import type { JsonObject } from '../checks.ts'
import type { AddedToken } from './added-tokens.ts'
import type { TemplateTokens } from './chat-template.ts'
import type { CharsMap } from './pipeline/chars-map.ts'
import type { PreTokenizer } from './pre-tokenizers.ts'
import { checkCount, MAX_ADDED_TOKENS } from './vocabulary-limits.ts'

/** What a token is for, as SentencePiece and `tokenizer.ggml.token_type` number it. */
export const TOKEN_TYPE = { normal: 1, unknown: 2, control: 3, userDefined: 4, unused: 5, byte: 6 }

/** How text between added tokens becomes pieces. */
export type WordModel =
  /** Byte-level BPE by a list of merges, "left right" each. */
  | { readonly kind: 'merges'; readonly merges: readonly string[]; readonly pre: PreTokenizer }
  /** SentencePiece BPE: by id; of two joins the one with the higher score is made first. */
  | {
      readonly kind: 'scores'
      readonly scores: ArrayLike<number>
      /** Put a space in front of each stretch of text, as in training. */
      readonly addSpacePrefix: boolean
      /** Spaces at both ends of a stretch are left out, and several in a row are one. Unset: no. */
      readonly removesSpaces?: boolean
      /** SentencePiece's compiled table of characters, which comes first. Unset: none. */
      readonly charsMap?: CharsMap
    }
  /** Byte-level BPE in which a piece's id is its rank, cut as Llama 3 does. */
  | { readonly kind: 'ranks' }
  /** As a tokenizer.json says, with its vocabulary checked already. */
  | {
      readonly kind: 'tokenizer.json'
      readonly json: JsonObject
      readonly model: JsonObject
      /** By piece, without added tokens. */
      readonly ids: ReadonlyMap<string, number>
    }

/** What every vocabulary is brought to. */
export interface Vocabulary {
  /** Where it came from and of what kind it is, for people. */
  readonly description: string
  /** By id, in the notation of its model; ids that stand for nothing are undefined. */
  readonly pieces: readonly (string | undefined)[]
  /** By id, each one of TOKEN_TYPE. */
  readonly types: ArrayLike<number>
  readonly addedTokens: readonly AddedToken[]
  readonly model: WordModel
  readonly bosId: number | undefined
  /** Put the begin token in front unless a caller says otherwise. */
  readonly addBos: boolean
  /** All that goes in front then, with or without the begin token. Unset: the begin token alone. */
  readonly frontIds?: readonly number[]
  readonly eosId: number | undefined
  readonly padId: number | undefined
  /** Stands for characters the vocabulary lacks; plain text may turn into it. */
  readonly unknownId: number | undefined
  /** All ids declared to end an answer, the foremost first; some may lie beyond the pieces. */
  readonly endIds: readonly number[]
  /** The token that belongs after a text that is embedded. */
  readonly appendedId: number | undefined
  /** As the files have it, true or bogus: see chat-format.ts. */
  readonly chatTemplate: string | undefined
  /** Takes its place in conversations with tools. Unset: the same. */
  readonly toolTemplate?: string | undefined
  /** The model is a BitNet: with Llama 3's vocabulary it is 2B-4T, whose chat format is known. */
  readonly isBitnet: boolean
  /** Texts that templates ask for by name; bos_token is added to them. */
  readonly templateTokens: TemplateTokens
}

/**
 * The added tokens that types tell apart: control tokens and the unknown one are special.
 *
 * @param field for the error's message: where the types came from
 * @throws FormatError if there are too many
 */
export function addedByType(
  pieces: readonly string[],
  types: ArrayLike<number>,
  field: string,
): AddedToken[] {
  const added: AddedToken[] = []
  for (const [id, content] of pieces.entries()) {
    const special = types[id] === TOKEN_TYPE.control || types[id] === TOKEN_TYPE.unknown
    if (special || types[id] === TOKEN_TYPE.userDefined) added.push({ id, content, special })
  }
  checkCount(added.length, field, MAX_ADDED_TOKENS)
  return added
}
