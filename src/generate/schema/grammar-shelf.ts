/** The grammars of a model: its vocabulary is looked through once, and the schemas used last are kept. */

import { UsageError } from '../../errors.ts'
import { Grammar, type GrammarOptions } from '../../grammar/grammar.ts'
import { Lexicon } from '../../grammar/lexicon.ts'
import type { TextTokenizer } from '../../tokenizer/text-tokenizer.ts'
import { type AnswerSchema, jsonSchemaOf } from './answer-schema.ts'

const MOST_KEPT = 64
const MOST_CHARACTERS = 1 << 18

export class GrammarShelf {
  readonly #tokenizer: TextTokenizer
  readonly #vocabSize: number
  readonly #kept = new Map<string, Grammar>()
  #lexicon: Lexicon | undefined

  /** @param vocabSize of the model, which may have more tokens than the tokenizer */
  constructor(tokenizer: TextTokenizer, vocabSize: number) {
    this.#tokenizer = tokenizer
    this.#vocabSize = vocabSize
  }

  /** @throws UsageError naming what in the schema no answer can be held to */
  grammarOf(schema: AnswerSchema, options: GrammarOptions = {}): Grammar {
    const plain = jsonSchemaOf(schema)
    const text = textOf(plain)
    const key = `${options.orText === true} ${text}`
    const { stopIds } = this.#tokenizer
    this.#lexicon ??= new Lexicon(
      this.#vocabSize,
      (id) => this.#tokenizer.tokenBytes(id),
      stopIds.filter((id) => id < this.#vocabSize),
    )
    const grammar = this.#kept.get(key) ?? new Grammar(JSON.parse(text), this.#lexicon, options)
    this.#kept.delete(key)
    this.#kept.set(key, grammar)
    if (this.#kept.size > MOST_KEPT) {
      const [oldest] = this.#kept.keys()
      this.#kept.delete(oldest)
    }
    return grammar
  }
}

function textOf(schema: unknown): string {
  let text: string
  try {
    text = JSON.stringify(schema)
  } catch (cause) {
    // Writing goes as deep as the schema does.
    const got =
      cause instanceof RangeError ? 'is thousands of schemas deep' : 'leads back to itself'
    throw new UsageError(`Expected a schema that can be written as JSON, got one that ${got}.`)
  }
  if (text.length <= MOST_CHARACTERS) return text
  throw new UsageError(
    `Expected a schema of at most ${MOST_CHARACTERS} characters as JSON, got ${text.length}.`,
  )
}
