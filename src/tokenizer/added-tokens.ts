/**
 * Tokens that stand beside the learned vocabulary and are found in a text by their exact spelling,
 * before anything else looks at it, or, of a tokenizer.json, in the text as its normalizer leaves it.
 * Special ones steer the model and are found only on request; the others (tags, runs of spaces) are
 * ordinary content and are always found. Whatever is found or passed over is so as in the Rust library:
 * the leftmost first, of those the longest, and none within another.
 */
import { FormatError } from '../errors.ts'
import { finish, MANY, type Steps } from '../steps.ts'
import { type Normalize, spacesAtEnd, spacesAtStart } from './pipeline/normalizers.ts'

/** A token beside the learned vocabulary. */
export interface AddedToken {
  readonly id: number
  readonly content: string
  readonly special: boolean
  /** Takes the white space before it along. */
  readonly lstrip?: boolean
  /** Takes the white space after it along. */
  readonly rstrip?: boolean
  /** Is found only where no letter, digit or the like touches it. */
  readonly singleWord?: boolean
  /** Is looked for in its normal form, in normal text. */
  readonly normalized?: boolean
}

/** A stretch of a text: an added token, or what lies between two of them. */
export type Section =
  | { readonly kind: 'token'; readonly id: number }
  | {
      readonly kind: 'text'
      readonly text: string
      /** Begins where the whole text begins. */
      readonly startsText: boolean
    }

/** Tokens by spelling, and the lengths to try at each first character, longest first. */
interface Index {
  readonly bySpelling: ReadonlyMap<string, AddedToken>
  readonly lengths: ReadonlyMap<string, readonly number[]>
}

const ENDS_WITH_WORD = /[\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\p{Join_Control}]$/u
const STARTS_WITH_WORD = /^[\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\p{Join_Control}]/u

/** Finds added tokens in a text, and tells which ids are special. */
export class AddedTokens {
  /** Texts of the special tokens that can be found. */
  readonly specialTexts: readonly string[]
  readonly #specialIds: ReadonlySet<number>
  /** Found in the text as it is. */
  readonly #raw: Index
  /** Found in normal text. */
  readonly #normal: Index
  /** Special ones in a template's text, which is searched before it is normalized. */
  readonly #rendered: Index
  readonly #normalize: Normalize | undefined

  /**
   * Special tokens of one character are never found in a text: nothing could tell a user's
   * character from a command there, and no known model has any.
   *
   * @param normalize of the vocabulary, if it has any
   * @throws FormatError if a token to be found in normal text is empty there
   */
  constructor(tokens: readonly AddedToken[], normalize?: Normalize) {
    this.#normalize = normalize
    this.#specialIds = new Set(tokens.filter((token) => token.special).map((token) => token.id))
    const findable = tokens.filter(({ content, special }) => content.length > (special ? 1 : 0))
    const special = findable.filter((token) => token.special)
    this.specialTexts = special.map((token) => token.content)
    this.#raw = indexTokens(findable.filter(({ normalized }) => normalized !== true))
    this.#normal = indexTokens(
      findable.filter(({ normalized }) => normalized === true),
      normalize,
    )
    this.#rendered = indexTokens(special)
  }

  isSpecial(id: number): boolean {
    return this.#specialIds.has(id)
  }

  /** Cuts a text at added tokens and normalizes what lies between them. */
  *split(text: string, parseSpecial: boolean, startsText = true): Steps<Section[]> {
    const skip = (id: number) => !parseSpecial && this.isSpecial(id)
    const sections = yield* cut(this.#raw, text, startsText, skip)
    const all: Section[] = []
    for (const section of sections) {
      if (section.kind === 'token') {
        all.push(section)
        continue
      }
      const normal = this.#normalize
        ? yield* this.#normalize(section.text)
        : { text: section.text, keepsStart: true }
      const startsNormal = section.startsText && normal.keepsStart
      for (const one of yield* cut(this.#normal, normal.text, startsNormal, skip)) all.push(one)
    }
    return all
  }

  /** Cuts a template's text at special tokens only; what lies between is as it was. */
  splitRendered(text: string): Steps<Section[]> {
    return cut(this.#rendered, text, true, () => false)
  }
}

/** A token that is skipped is text, with all that it covers. */
function* cut(
  index: Index,
  text: string,
  startsText: boolean,
  skip: (id: number) => boolean,
): Steps<Section[]> {
  if (text === '') return []
  if (index.bySpelling.size === 0) return [{ kind: 'text', text, startsText }]
  const sections: Section[] = []
  let done = 0
  const pushText = (end: number) => {
    if (end <= done) return
    sections.push({
      kind: 'text',
      text: text.slice(done, end),
      startsText: startsText && done === 0,
    })
  }
  for (let at = 0, turn = 0; at < text.length; ) {
    if (++turn % MANY === 0) yield
    const found = findAt(index, text, at)
    if (found === undefined) {
      at++
      continue
    }
    const { token, length } = found
    const [start, end] = [at, at + length]
    at = end
    if (skip(token.id)) continue
    if (token.singleWord === true && isInWord(text, start, end)) continue
    const { lstrip, rstrip } = token
    const first = lstrip ? Math.max(done, start - spacesAtEnd(text.slice(done, start))) : start
    const last = rstrip ? end + spacesAtStart(text.slice(end)) : end
    // A token of white space may lie in what the one before it took along.
    if (first >= last) continue
    pushText(first)
    sections.push({ kind: 'token', id: token.id })
    done = last
  }
  pushText(text.length)
  return sections
}

function isInWord(text: string, start: number, end: number): boolean {
  // Two code units hold any character.
  const before = text.slice(Math.max(0, start - 2), start)
  return ENDS_WITH_WORD.test(before) || STARTS_WITH_WORD.test(text.slice(end, end + 2))
}

function indexTokens(tokens: readonly AddedToken[], normalize?: Normalize): Index {
  const bySpelling = new Map<string, AddedToken>()
  for (const token of tokens) {
    const spelling = normalize === undefined ? token.content : finish(normalize(token.content)).text
    if (spelling === '') {
      throw new FormatError(
        `Expected the normalizer to leave something of the added token ${JSON.stringify(token.content)}, ` +
          'got nothing. The file is damaged; fetch it again.',
        { field: 'added_tokens' },
      )
    }
    // The first of equals wins, as the lower id is the one that models were trained with.
    if (!bySpelling.has(spelling)) bySpelling.set(spelling, token)
  }
  return { bySpelling, lengths: lengthsByFirst(bySpelling.keys()) }
}

/** The lengths of texts by their first character, longest first, each once. */
export function lengthsByFirst(texts: Iterable<string>): Map<string, readonly number[]> {
  const lengths = new Map<string, number[]>()
  for (const text of texts) {
    const known = lengths.get(text[0]) ?? []
    if (known.includes(text.length)) continue
    lengths.set(
      text[0],
      [...known, text.length].sort((a, b) => b - a),
    )
  }
  return lengths
}

function findAt(
  index: Index,
  text: string,
  at: number,
): { token: AddedToken; length: number } | undefined {
  const lengths = index.lengths.get(text[at])
  if (lengths === undefined) return undefined
  for (const length of lengths) {
    const token = index.bySpelling.get(text.slice(at, at + length))
    if (token !== undefined) return { token, length }
  }
  return undefined
}
