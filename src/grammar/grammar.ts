/**
 * Holds answers to a schema: says of each place in an answer which tokens may come next, so that what is written
 * is valid JSON of the schema, and ends before the tokens are used up.
 */
import { UsageError } from '../errors.ts'
import { Automaton } from './automaton.ts'
import { compileSchema } from './compile-schema.ts'
import { Expressions } from './expression.ts'
import { refuse, tooComplex } from './grammar-error.ts'
import type { Item } from './item.ts'
import { allow, type Lexicon, type TokenTree } from './lexicon.ts'
import { characterCost, FAR, freeCharacters, lengthWithin } from './string-state.ts'

/** All ways in which what was written so far can be read. */
interface State {
  readonly items: readonly Item[]
  readonly mayEnd: boolean
  /** How few tokens end it. */
  readonly need: number
  /** What is known of what follows a byte. */
  steps: Map<number, State> | undefined
}

interface Mask {
  readonly words: Uint32Array
  /** The most tokens that are needed behind one of those allowed. */
  readonly mostNeeded: number
}

/** Tokens that may come within a text and are not plain characters. */
interface Special {
  /** How many characters the text had room for. */
  readonly room: number
  readonly ids: readonly number[]
  /** How few tokens are needed behind each. */
  readonly needs: readonly number[]
  /** How many characters of the text each of them takes. */
  readonly lengths: readonly number[]
}

/** A place in a text where all plain characters may come. */
interface FreePlace {
  /** How many may. */
  readonly characters: number
  /** How few tokens are needed behind any of them at most. */
  readonly need: number
  /** Whether the text may end here, so that it does not matter how many came: all need the same behind them. */
  readonly mayClose: boolean
}

/** States that are known by their items, and masks that are kept, the last ones used. */
const MOST_STATES = 12_500
const MOST_MASKS = 256
/** Readings of one text at the same time. */
const MOST_ITEMS = 128
/** What every JSON text may need, byte by byte. */
const NEEDED = '{}[]":,-.0123456789'

export interface GrammarOptions {
  /** Whether an answer may be text instead, which begins with neither a brace nor a space. */
  readonly orText?: boolean | undefined
}

export class Grammar {
  readonly #lexicon: Lexicon
  readonly #automaton: Automaton
  /** By the numbers of their items. */
  readonly #states = new Map<string | number, State>()
  readonly #masks = new Map<State, Mask>()
  /** By what comes behind the text. */
  readonly #specials = new Map<Item, Special>()
  readonly start: State

  /** @throws UsageError naming what in the schema no answer can be held to */
  constructor(schema: unknown, lexicon: Lexicon, { orText = false }: GrammarOptions = {}) {
    const missing = Array.from(NEEDED).find((one) => lexicon.cost(one) !== 1)
    if (missing !== undefined) {
      throw new UsageError(
        `Expected a model whose vocabulary can write JSON, but it has no token for ${missing}.`,
      )
    }
    this.#lexicon = lexicon
    const make = new Expressions((code) => characterCost(code, lexicon))
    const root = compileSchema(schema, make)
    this.#automaton = new Automaton(root, lexicon, make)
    const value = this.#automaton.value(root)
    if (value.need >= FAR) refuse([], 'allows no value that could be written')
    this.start = this.#state(orText ? [value, this.#automaton.freeText()] : [value])
  }

  /** For one answer of at most so many tokens. */
  matcher(maxTokens: number): Matcher {
    return new Matcher(this, maxTokens)
  }

  /** @returns undefined where no answer goes on so */
  step(state: State, byte: number): State | undefined {
    const known = state.steps?.get(byte)
    if (known !== undefined) return known
    let items = this.#automaton.step(state.items[0], byte)
    for (let at = 1; at < state.items.length; at++) {
      const more = this.#automaton.step(state.items[at], byte)
      if (more.length > 0) items = items.length === 0 ? more : [...new Set([...items, ...more])]
    }
    if (items.length > MOST_ITEMS) throw tooComplex()
    // What leads nowhere is most of what is tried, and found so at once.
    if (items.length === 0) return undefined
    const next = this.#state(items)
    state.steps ??= new Map()
    state.steps.set(byte, next)
    return next
  }

  /** @returns undefined where no answer goes on with the token */
  stepToken(state: State, bytes: Uint8Array): State | undefined {
    let at: State | undefined = state
    for (const byte of bytes) {
      at = this.step(at, byte)
      if (at === undefined) return undefined
    }
    return at
  }

  bytesOf(id: number): Uint8Array {
    return this.#lexicon.bytesOf(id)
  }

  isDone({ items }: State): boolean {
    return items.every(({ kind }) => kind === 'end')
  }

  /**
   * The tokens that may come next.
   *
   * @param left how many may come behind it
   * @returns a bit a token; undefined where any may
   */
  allowed(state: State, left: number): Uint32Array | undefined {
    if (state.items.some((item) => item.kind === 'free' && item.isBegun)) return undefined
    const { words, mostNeeded } = this.#mask(state)
    if (mostNeeded <= left) return words
    const close = this.#sweep(state, left)
    if (close.mostNeeded > Number.NEGATIVE_INFINITY || state.mayEnd) return close.words
    // There are too few left for any end: then the nearest, as far as it comes.
    return this.#sweep(state, this.#nearest(state)).words
  }

  #mask(state: State): Mask {
    const known = this.#masks.get(state)
    const mask = known ?? this.#sweep(state, Number.POSITIVE_INFINITY)
    this.#masks.delete(state)
    this.#masks.set(state, mask)
    if (this.#masks.size > MOST_MASKS) {
      for (const oldest of this.#masks.keys()) {
        this.#masks.delete(oldest)
        break
      }
    }
    return mask
  }

  /** The tokens behind which no more than `most` are needed. */
  #sweep(state: State, most: number): Mask {
    const lexicon = this.#lexicon
    const free = this.#freePlace(state)
    const isFree = free !== undefined && free.need <= most
    // Of a token that is cut within a character each byte is still needed.
    const spare = isFree ? Math.min(most - free.need, lexicon.mostMissing) : 0
    const missing = free?.mayClose || spare === lexicon.mostMissing ? spare : 0
    const words = isFree
      ? lexicon.plainMask(free.characters, missing).slice()
      : new Uint32Array(lexicon.maskWords)
    let mostNeeded = isFree ? free.need + missing : Number.NEGATIVE_INFINITY
    const add = (id: number, need: number): void => {
      if (need > most || need >= FAR) return
      mostNeeded = Math.max(mostNeeded, need)
      allow(words, id)
    }
    // Characters one by one may be too many where those of longer tokens are not.
    if (isFree || free?.mayClose) {
      const { ids, needs, lengths } = this.#special(state, free)
      for (let at = 0; at < ids.length; at++) {
        if (lengths[at] <= free.characters) add(ids[at], needs[at])
      }
    } else this.#walk(lexicon.all, state, add)
    if (missing < spare) this.#walk(lexicon.cut, state, add)
    if (state.mayEnd) for (const id of lexicon.stopIds) allow(words, id)
    return { words, mostNeeded }
  }

  #nearest(state: State): number {
    const free = this.#freePlace(state)
    const may = free?.mayClose ? this.#special(state, free) : undefined
    if (free !== undefined && may !== undefined) {
      return Math.min(free.need, ...may.needs.filter((_, at) => may.lengths[at] <= free.characters))
    }
    let nearest = Number.POSITIVE_INFINITY
    this.#walk(this.#lexicon.all, state, (_, need) => {
      nearest = Math.min(nearest, need)
    })
    return nearest
  }

  /** Where all plain characters may come. */
  #freePlace({ items }: State): FreePlace | undefined {
    const [item] = items
    if (items.length !== 1 || (item.kind !== 'string' && item.kind !== 'other')) return undefined
    const { make } = this.#automaton
    const characters = freeCharacters(item.at, make)
    if (characters === undefined) return undefined
    // One character behind which as many others are needed as can be.
    const next = this.#automaton.step(item, 0x61)[0]
    if (next === undefined) return undefined
    return { characters, need: next.need, mayClose: item.at.rest.isNullable }
  }

  /** Where a text may close, those for as much room as it had before are those for what is left of it, too. */
  #special(state: State, { characters, mayClose }: FreePlace): Special {
    const lexicon = this.#lexicon
    const [{ kind, rest }] = state.items
    const behind = kind === 'string' && mayClose ? rest : undefined
    const known = behind && this.#specials.get(behind)
    if (known && (characters <= known.room || known.room >= lexicon.longestSpecial)) return known
    const [ids, needs, lengths]: [number[], number[], number[]] = [[], [], []]
    this.#walk(lexicon.special, state, (id, need) => {
      ids.push(id)
      needs.push(need)
      lengths.push(lengthWithin(lexicon.bytesOf(id)))
    })
    const special = { room: characters, ids, needs, lengths }
    if (behind) {
      if (this.#specials.size >= MOST_MASKS) this.#specials.clear()
      this.#specials.set(behind, special)
    }
    return special
  }

  /** Calls `found` for all tokens that may come, with what is needed behind each; those with a common beginning are looked at once. */
  #walk(
    { bytes, depths, ends, starts, ids, longest }: TokenTree,
    start: State,
    found: (id: number, need: number) => void,
  ): void {
    const states = new Array<State>(longest + 1).fill(start)
    for (let node = 0; node < bytes.length; ) {
      const depth = depths[node]
      const next = this.step(states[depth], bytes[node])
      if (next === undefined) {
        node = ends[node]
        continue
      }
      states[depth + 1] = next
      for (let at = starts[node]; at < starts[node + 1]; at++) found(ids[at], next.need)
      node++
    }
  }

  #state(items: readonly Item[]): State {
    const sorted = items.length < 2 ? items : [...items].sort((a, b) => a.id - b.id)
    const key = sorted.length === 1 ? sorted[0].id : sorted.map(({ id }) => id).join()
    const known = this.#states.get(key)
    if (known !== undefined) return known
    if (this.#states.size >= MOST_STATES) this.#states.clear()
    const made: State = {
      items: sorted,
      mayEnd: sorted.some((item) => this.#automaton.mayEnd(item)),
      need: sorted.reduce((least, { need }) => Math.min(least, need), Number.POSITIVE_INFINITY),
      steps: undefined,
    }
    this.#states.set(key, made)
    return made
  }
}

/** Milliseconds that a schema may take of one answer: whoever else is answered waits for it. */
const MOST_MS = 10_000

/** One answer on its way. */
class Matcher {
  readonly #grammar: Grammar
  readonly #maxTokens: number
  /** The tokens that were looked at, and the states behind each; undefined where none goes on so. */
  readonly #tokens: number[] = []
  readonly #states: (State | undefined)[]
  #ms = 0

  constructor(grammar: Grammar, maxTokens: number) {
    this.#grammar = grammar
    this.#maxTokens = maxTokens
    this.#states = [grammar.start]
  }

  /**
   * What may follow some tokens, a bit a token; undefined for anything.
   *
   * @param tokens of the answer, guesses behind them included
   * @throws UsageError where the schema takes too much time
   */
  allowed(tokens: readonly number[]): Uint32Array | undefined {
    const began = performance.now()
    const state = this.#stateBehind(tokens)
    const left = this.#maxTokens - tokens.length - 1
    // Behind a wrong guess nothing is drawn that counts.
    const mask = state && this.#grammar.allowed(state, left)
    this.#ms += performance.now() - began
    if (this.#ms > MOST_MS) throw tooComplex()
    return mask
  }

  /** Whether the tokens are a whole answer, which nothing can follow. */
  isDone(tokens: readonly number[]): boolean {
    const state = this.#stateBehind(tokens)
    return state !== undefined && this.#grammar.isDone(state)
  }

  /** Whether the tokens are a whole answer, even if more could follow. */
  isWhole(tokens: readonly number[]): boolean {
    return this.#stateBehind(tokens)?.mayEnd === true
  }

  #stateBehind(tokens: readonly number[]): State | undefined {
    const count = tokens.length
    let same = 0
    while (same < Math.min(count, this.#tokens.length)) {
      if (this.#tokens[same] !== tokens[same]) break
      same++
    }
    this.#tokens.length = same
    this.#states.length = same + 1
    for (let at = same; at < count; at++) {
      const id = tokens[at]
      const before = this.#states[at]
      this.#tokens.push(id)
      this.#states.push(before && this.#grammar.stepToken(before, this.#grammar.bytesOf(id)))
    }
    return this.#states[count]
  }
}
