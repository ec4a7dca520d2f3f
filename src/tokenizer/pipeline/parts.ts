/**
 * Checked reading of a tokenizer.json's steps. The Rust library refuses fields that are missing or of
 * another type; so is done here, and what is not done equally is refused by name.
 */
import { describe, isObject, type JsonObject } from '../../checks.ts'
import { FormatError } from '../../errors.ts'
import { MAX_PIECE_CHARS } from '../vocabulary-limits.ts'

/** Of normalisers, pre-tokenizers and decoders in one chain, each within another counted. */
const MAX_STEPS = 64
const MAX_DEPTH = 8

/** @param part for people: 'a pre_tokenizer of type "X"' */
export function unsupportedPart(part: string, why: string, field = 'tokenizer.json'): FormatError {
  return new FormatError(
    `${part} cannot be applied: ${why}. ` +
      'The file is damaged or uses a part that is not supported; use the model in another format.',
    { field },
  )
}

/** A step of a chain, with the chain's name for errors. */
export class Part {
  readonly type: string
  readonly #json: JsonObject
  readonly #chain: string

  constructor(value: unknown, chain: string) {
    if (!isObject(value) || typeof value.type !== 'string') {
      throw unsupportedPart(
        `The ${chain} of tokenizer.json`,
        `it is ${describe(value)}, no step with a type`,
      )
    }
    this.type = value.type
    this.#json = value
    this.#chain = chain
  }

  refuse(why: string): FormatError {
    const part = `The ${this.#chain} of type "${this.type.slice(0, 60)}"`
    return unsupportedPart(part, why, this.#chain === 'decoder' ? 'decoder' : undefined)
  }

  #wrong(name: string, expected: string): FormatError {
    return this.refuse(`${name} has to be ${expected}, got ${describe(this.#json[name])}`)
  }

  has(name: string): boolean {
    return this.#json[name] !== undefined && this.#json[name] !== null
  }

  boolean(name: string, preset?: boolean): boolean {
    const value = this.has(name) ? this.#json[name] : preset
    if (typeof value === 'boolean') return value
    throw this.#wrong(name, 'true or false')
  }

  text(name: string): string {
    const value = this.#json[name]
    if (typeof value === 'string' && value.length <= MAX_PIECE_CHARS) return value.toWellFormed()
    throw this.#wrong(name, `a text of at most ${MAX_PIECE_CHARS} characters`)
  }

  /** Bytes that are written as base64. */
  base64(name: string): Uint8Array {
    const value = this.#json[name]
    try {
      if (typeof value === 'string') return Uint8Array.from(atob(value), (c) => c.charCodeAt(0))
    } catch {
      // Said below.
    }
    throw this.#wrong(name, 'bytes in base64')
  }

  /** A text of exactly one character. */
  character(name: string): string {
    const value = this.text(name)
    if ([...value].length === 1) return value
    throw this.#wrong(name, 'one character')
  }

  whole(name: string, limit: number): number {
    const value = this.#json[name]
    if (typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= limit) {
      return value
    }
    throw this.#wrong(name, `a whole number up to ${limit}`)
  }

  choice<T extends string>(name: string, choices: readonly T[], preset?: T): T {
    const value = this.has(name) ? this.#json[name] : preset
    const chosen = choices.find((choice) => choice === value)
    if (chosen !== undefined) return chosen
    throw this.#wrong(name, `one of ${choices.join(', ')}`)
  }

  /** A pattern is one text or one expression. */
  pattern(): { readonly kind: 'String' | 'Regex'; readonly text: string } {
    const value = this.#json.pattern
    if (isObject(value)) {
      const [entry, ...others] = Object.entries(value)
      const [kind, text] = entry ?? []
      if (
        others.length === 0 &&
        (kind === 'String' || kind === 'Regex') &&
        typeof text === 'string' &&
        text !== ''
      ) {
        return { kind, text: text.toWellFormed() }
      }
    }
    throw this.refuse('pattern has to be {"String": text} or {"Regex": expression}, not empty')
  }

  list(name: string): readonly unknown[] {
    const value = this.#json[name]
    if (Array.isArray(value)) return value
    throw this.#wrong(name, 'a list')
  }
}

/**
 * The steps of a chain in their order, Sequences taken apart; none if there is no chain.
 *
 * @param members where a Sequence has its steps
 * @throws FormatError
 */
export function chainOf(value: unknown, chain: string, members: string): Part[] {
  const steps: Part[] = []
  const add = (step: unknown, depth: number) => {
    const part = new Part(step, chain)
    if (depth > MAX_DEPTH || steps.length >= MAX_STEPS)
      throw part.refuse('there are too many steps')
    if (part.type !== 'Sequence') steps.push(part)
    else for (const member of part.list(members)) add(member, depth + 1)
  }
  if (value !== undefined && value !== null) add(value, 0)
  return steps
}
