/**
 * A tokenizer from each kind of file that has a vocabulary.
 */
import { isWhole } from '../checks.ts'
import { FormatError } from '../errors.ts'
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
export function tokenizerFromGguf(metadata: GgufMetadata, rows?: number): TextTokenizer {
  const vocabulary = readGgufVocabulary(metadata)
  if (vocabulary !== undefined) return createTokenizer(vocabulary, rows)
  const key = `${readText(metadata, 'general.architecture') ?? ''}.vocab_size`
  const size = metadata.get(key)
  if (isWhole(size, 1, MAX_PIECES)) return numericTokenizer(size)
  throw new FormatError(
    `Expected a vocabulary, or ${key} to tell its size from 1 to ${MAX_PIECES}, got neither. ` +
      'The file cannot be used with text; use one with a tokenizer.',
    { field: key },
  )
}

/**
 * From tokenizer.json and the files beside it.
 *
 * @throws FormatError naming the part that is damaged or not supported
 */
export function tokenizerFromJson(files: JsonTokenizerFiles, rows?: number): TextTokenizer {
  return createTokenizer(readJsonVocabulary(files), rows)
}

/**
 * From a checkpoint's `tokenizer.model`, where there is no tokenizer.json: tiktoken's text form
 * (Llama 3) or SentencePiece's protocol buffer (Llama 2).
 *
 * @throws FormatError naming the part that is damaged or not supported
 */
export function tokenizerFromModelFile(
  file: Uint8Array,
  beside: FilesBeside,
  rows?: number,
): TextTokenizer {
  return createTokenizer(readModelFile(file, beside), rows)
}

/** The vocabulary of a `tokenizer.model`. @throws FormatError as {@link tokenizerFromModelFile} does */
export function readModelFile(file: Uint8Array, beside: FilesBeside): Vocabulary {
  // A protocol buffer begins with the tag of its first piece, a line feed; tiktoken with base64.
  const isProtocolBuffer = file[0] === 0x0a
  return (isProtocolBuffer ? readSentencePiece : readTiktoken)(file, beside)
}
