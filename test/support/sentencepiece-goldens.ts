/** What scripts/sentencepiece-goldens.py has made. */
import { readFileSync } from 'node:fs'

const FOLDER = new URL('../fixtures/tokenizer/sentencepiece/', import.meta.url)

/** A tokenizer.model by the name of its settings. */
export function sentencePieceModel(name: string): Uint8Array {
  return new Uint8Array(readFileSync(new URL(`${name}.model`, FOLDER)))
}

export const GOLDENS = JSON.parse(readFileSync(new URL('goldens.json', FOLDER), 'utf8')) as {
  readonly texts: readonly string[]
  /** By the model's name, of each text. */
  readonly ids: Readonly<Record<string, readonly (readonly number[])[]>>
  /** A table of half-width kana, digits in circles, ligatures and spaces, in base64. */
  readonly charsmap: string
}
