/** Texts that a page has, as tokens in memory. */
import { UsageError } from '../../errors.ts'
import type { TextTokenizer } from '../../tokenizer/text-tokenizer.ts'
import {
  DOCUMENT_SEPARATOR,
  documentsOfLine,
  type TrainingDocument,
} from '../../train/data/documents.ts'
import { encodeDocument, textBytesOf } from '../../train/data/encode.ts'
import { memoryTokens } from '../../train/data/token-source.ts'
import type { TextSource } from '../../train/run.ts'
import { turnOfTheLoop } from '../../turns.ts'

/** A text, or a file that somebody chose: JSON lines if it is called .jsonl, else a text in UTF-8. */
export type TrainingText = string | Blob

/** Documents between two looks at the signal. */
const AT_A_TIME = 64

/** @throws UsageError for no text, FormatError for a line that is no document; the signal's reason */
export async function tokensOf(
  text: TrainingText,
  tokenizer: TextTokenizer,
  signal: AbortSignal | undefined,
): Promise<TextSource> {
  const name = text instanceof File ? text.name : 'text'
  const content = typeof text === 'string' ? text : await text.text()
  const words: number[] = []
  let textBytes = 0
  let count = 0
  for (const document of documentsOf(content, name)) {
    textBytes += textBytesOf(document)
    for (const word of encodeDocument(document, tokenizer)) words.push(word)
    if (++count % AT_A_TIME === 0) await turnOfTheLoop()
    signal?.throwIfAborted()
  }
  if (words.length === 0) throw new UsageError(`Expected text in ${name}, got none.`)
  return { ...memoryTokens(name, Int32Array.from(words)), textBytes }
}

function* documentsOf(content: string, name: string): Generator<TrainingDocument> {
  if (/\.(jsonl|ndjson)$/i.test(name)) {
    for (const [i, line] of content.split('\n').entries()) {
      if (line.trim() !== '') yield* documentsOfLine(line, name, i + 1)
    }
    return
  }
  for (const text of content.split(DOCUMENT_SEPARATOR)) if (text.trim() !== '') yield { text }
}
