/**
 * Tokens that stand beside the learned vocabulary and are found in a text by their exact spelling,
 * before anything else looks at it. Special ones steer the model and are found only on request;
 * the others (tags, runs of spaces) are ordinary content and are always found.
 */

/** A token beside the learned vocabulary. */
export interface AddedToken {
  readonly id: number
  readonly content: string
  readonly special: boolean
  /** Takes the white space before it along. */
  readonly lstrip?: boolean
  /** Takes the white space after it along. */
  readonly rstrip?: boolean
}

/** A stretch of a text: an added token, or what lies between two of them. */
type Section =
  | { readonly kind: 'token'; readonly id: number }
  | { readonly kind: 'text'; readonly text: string }

/** Tokens by content, and the lengths to try at each first character, longest first. */
interface Index {
  readonly byContent: ReadonlyMap<string, AddedToken>
  readonly lengths: ReadonlyMap<string, readonly number[]>
}

/** Finds added tokens in a text, and tells which ids are special. */
export class AddedTokens {
  /** Texts of the special tokens that can be found. */
  readonly specialTexts: readonly string[]
  readonly #specialIds: ReadonlySet<number>
  readonly #all: Index
  readonly #content: Index

  /**
   * Special tokens of one character are never found in a text: nothing could tell a user's
   * character from a command there, and no known model has any.
   */
  constructor(tokens: readonly AddedToken[]) {
    this.#specialIds = new Set(tokens.filter((token) => token.special).map((token) => token.id))
    const findable = tokens.filter(({ content, special }) => content.length > (special ? 1 : 0))
    const special = findable.filter((token) => token.special)
    this.specialTexts = special.map((token) => token.content)
    this.#all = indexTokens(findable)
    this.#content = indexTokens(findable.filter((token) => !token.special))
  }

  isSpecial(id: number): boolean {
    return this.#specialIds.has(id)
  }

  /** Cuts a text at added tokens, the leftmost first and of those the longest. */
  split(text: string, parseSpecial: boolean): Section[] {
    const index = parseSpecial ? this.#all : this.#content
    if (index.byContent.size === 0) return text === '' ? [] : [{ kind: 'text', text }]
    const sections: Section[] = []
    let start = 0
    let trimStart = false
    const pushText = (end: number, trimEnd: boolean) => {
      let between = text.slice(start, end)
      if (trimStart) between = between.trimStart()
      if (trimEnd) between = between.trimEnd()
      if (between !== '') sections.push({ kind: 'text', text: between })
    }
    for (let at = 0; at < text.length; ) {
      const token = findAt(index, text, at)
      if (token === undefined) {
        at++
        continue
      }
      pushText(at, token.lstrip ?? false)
      sections.push({ kind: 'token', id: token.id })
      trimStart = token.rstrip ?? false
      at += token.content.length
      start = at
    }
    pushText(text.length, false)
    return sections
  }
}

function indexTokens(tokens: readonly AddedToken[]): Index {
  const byContent = new Map<string, AddedToken>()
  for (const token of tokens) {
    // The first of equals wins, as the lower id is the one that models were trained with.
    if (!byContent.has(token.content)) byContent.set(token.content, token)
  }
  return { byContent, lengths: lengthsByFirst(byContent.keys()) }
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

function findAt(index: Index, text: string, at: number): AddedToken | undefined {
  const lengths = index.lengths.get(text[at])
  if (lengths === undefined) return undefined
  for (const length of lengths) {
    const token = index.byContent.get(text.slice(at, at + length))
    if (token !== undefined) return token
  }
  return undefined
}
