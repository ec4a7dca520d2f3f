/**
 * A tokenizer from each kind of file that has a vocabulary: in steps, as a large one takes half a second, or at once.
 */
import { isWhole } from '../checks.ts'
import { FormatError } from '../errors.ts'
import { finish, type Steps } from '../steps.ts'
import { createTokenizer } from './create.ts'
import { type GgufMetadata, readText } from './gguf-keys.ts'
import { numericTokenizer } from './numeric.ts'
import { readGgufVocabulary } from './read-gguf.ts'
import { type FilesBeside, type JsonTokenizerFiles, readJsonVocabulary } from './read-json.ts'
import { readSentencePiece } from './read-sentencepiece.ts'
import { readTiktoken } from './read-tiktoken.ts'
import type { TextTokenizer } from './text-tokenizer.ts'
import type { Vocabulary } from './vocabulary.ts'
import { MAX_PIECES } from './vocabulary-limits.ts'

/**
 * From a GGUF file's metadata; one without a vocabulary has numbers for tokens.
 *
 * @param rows of the embedding, if it is to run: see createTokenizer
 * @throws FormatError naming the key that is damaged or not supported
 */
export function* ggufTokenizer(metadata: GgufMetadata, rows?: number): Steps<TextTokenizer> {
  const vocabulary = yield* readGgufVocabulary(metadata)
  if (vocabulary !== undefined) return yield* createTokenizer(vocabulary, rows)
  const key = `${readText(metadata, 'general.architecture') ?? ''}.vocab_size`
  const size = metadata.get(key)
  if (isWhole(size, 1, MAX_PIECES)) return numericTokenizer(size)
  throw new FormatError(
    `Expected a vocabulary, or ${key} to tell its size from 1 to ${MAX_PIECES}, got neither. ` +
      'The file cannot be used with text; use one with a tokenizer.',
    { field: key },
  )
}

/** The same at once. Throws as {@link ggufTokenizer}. */
export function tokenizerFromGguf(metadata: GgufMetadata, rows?: number): TextTokenizer {
  return finish(ggufTokenizer(metadata, rows))
}

/**
 * From tokenizer.json and the files beside it.
 *
 * @throws FormatError naming the part that is damaged or not supported
 */
export function* jsonTokenizer(files: JsonTokenizerFiles, rows?: number): Steps<TextTokenizer> {
  return yield* createTokenizer(yield* readJsonVocabulary(files), rows)
}

/** The same at once. Throws as {@link jsonTokenizer}. */
export function tokenizerFromJson(files: JsonTokenizerFiles, rows?: number): TextTokenizer {
  return finish(jsonTokenizer(files, rows))
}

/**
 * From a checkpoint's `tokenizer.model`, where there is no tokenizer.json: tiktoken's text form
 * (Llama 3) or SentencePiece's protocol buffer (Llama 2).
 *
 * @throws FormatError naming the part that is damaged or not supported
 */
export function* modelFileTokenizer(
  file: Uint8Array,
  beside: FilesBeside,
  rows?: number,
): Steps<TextTokenizer> {
  return yield* createTokenizer(yield* readModelFile(file, beside), rows)
}

/** The same at once. Throws as {@link modelFileTokenizer}. */
export function tokenizerFromModelFile(file: Uint8Array, beside: FilesBeside): TextTokenizer {
  return finish(modelFileTokenizer(file, beside))
}

/** The vocabulary of a `tokenizer.model`. @throws FormatError as {@link modelFileTokenizer} does */
export function readModelFile(file: Uint8Array, beside: FilesBeside): Steps<Vocabulary> {
  // A protocol buffer begins with the tag of its first piece, a line feed; tiktoken with base64.
  const isProtocolBuffer = file[0] === 0x0a
  return (isProtocolBuffer ? readSentencePiece : readTiktoken)(file, beside)
}
