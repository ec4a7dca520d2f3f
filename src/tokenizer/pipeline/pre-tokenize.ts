/**
 * How a tokenizer.json cuts normal text into words: its pre_tokenizer.
 */

import { inStretches, MANY, type Steps } from '../../steps.ts'
import { textToAlphabet } from '../byte-alphabet.ts'
import { type FindAll, findAll, findText, quickly } from '../regex/expression.ts'
import { GPT2 } from '../regex/known.ts'
import { BEHAVIORS, type Behavior, cutter } from './cut.ts'
import { chainOf, type Part } from './parts.ts'

/** Words on their way; only the first can begin where the whole text does. */
export interface Words {
  readonly list: string[]
  readonly startsText: boolean
}

type Step = (words: Words) => Steps<Words>

/** A chain of cuts, and what is done to each word at the end of it. */
export interface PreTokenizing {
  readonly cut: Step
  /** The notation of the words, apart so that a word known already need not be written anew. */
  readonly spell: ((word: string) => Steps<string>) | undefined
}

const FIELD = 'tokenizer.json'
const MAX_FIXED_LENGTH = 1 << 20
const SCHEMES = ['first', 'never', 'always'] as const

/**
 * Punctuation of Unicode 8, which the Rust library's table has; with ASCII's symbols.
 */
const PUNCTUATION: RegExp =
  /(?![\u061d\u09fd\u0a76\u0c77\u0c84\u1b4e\u1b4f\u1b7d-\u1b7f\u2e43-\u2e5d\u{10d6e}\u{10ead}\u{10ed0}\u{10f55}-\u{10f59}\u{10f86}-\u{10f89}\u{113d4}\u{113d5}\u{113d7}\u{113d8}\u{1144b}-\u{1144f}\u{1145a}\u{1145b}\u{1145d}\u{11660}-\u{1166c}\u{116b9}\u{1183b}\u{11944}-\u{11946}\u{119e2}\u{11a3f}-\u{11a46}\u{11a9a}-\u{11a9c}\u{11a9e}-\u{11aa2}\u{11b00}-\u{11b09}\u{11be1}\u{11c41}-\u{11c45}\u{11c70}\u{11c71}\u{11ef7}\u{11ef8}\u{11f43}-\u{11f4f}\u{11fff}\u{12ff1}\u{12ff2}\u{16d6d}-\u{16d6f}\u{16e97}-\u{16e9a}\u{16fe2}\u{1e5ff}\u{1e95e}\u{1e95f}])[!-/:-@[-`{-~\p{P}\u166d\u{111c9}]/gu
const SPACE = /\p{White_Space}/gu
const NUMERIC = /\p{N}/gu
/** What the Rust library's Whitespace keeps: words, and what is neither of words nor white. */
const WORDS =
  /[\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\p{Join_Control}]+|[^\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\p{Join_Control}\p{White_Space}]+/gu

/**
 * @param isChanged whether texts come from a normalizer
 * @throws FormatError naming the step that is damaged or not supported
 */
export function preTokenizerOf(value: unknown, isChanged = false): PreTokenizing {
  const parts = chainOf(value, 'pre_tokenizer', 'pretokenizers')
  for (const [i, part] of parts.entries()) {
    // The Rust library asks which character a word was made of, and several words may be made of the first.
    const isBehindChange = isChanged || parts.slice(0, i).some(isByteLevel)
    if (i > 0 && isBehindChange && part.type === 'Metaspace' && part.has('prepend_scheme')) {
      const scheme = part.choice('prepend_scheme', SCHEMES)
      if (scheme === 'first') throw part.refuse('prepend_scheme "first" is behind other steps')
    }
  }
  const last = parts.at(-1)
  const spellsLast = last?.type === 'ByteLevel' && !parts.slice(0, -1).some(isByteLevel)
  const steps = parts.flatMap((part) => stepsOf(part, spellsLast && part === last))
  return {
    *cut(words) {
      let done = words
      for (const step of steps) done = yield* step(done)
      return done
    },
    spell: spellsLast ? spelled : undefined,
  }
}

const spelled = (word: string) => inStretches(word, textToAlphabet)

const isByteLevel = ({ type }: Part) => type === 'ByteLevel'

/** @param isSpelled what ByteLevel does to the words is done elsewhere */
function stepsOf(part: Part, isSpelled: boolean): Step[] {
  switch (part.type) {
    case 'ByteLevel': {
      // Of no consequence here, but the Rust library wants it.
      part.boolean('trim_offsets', true)
      const spaced: Step[] = part.boolean('add_prefix_space', false)
        ? [eachWord(({ word }) => (word.startsWith(' ') ? word : ` ${word}`))]
        : []
      const cut = part.boolean('use_regex', true)
        ? [cutting(findAll(GPT2, FIELD), 'Isolated', false)]
        : []
      return [
        ...spaced,
        ...cut,
        ...(isSpelled ? [] : [eachWord(({ word }) => textToAlphabet(word))]),
      ]
    }
    case 'Metaspace':
      return metaspace(part)
    case 'Split': {
      const { kind, text } = part.pattern()
      const find = kind === 'Regex' ? findAll(text, FIELD) : findText(text)
      return [cutting(find, part.choice('behavior', BEHAVIORS), part.boolean('invert'))]
    }
    case 'Digits': {
      const behavior = part.boolean('individual_digits') ? 'Isolated' : 'Contiguous'
      return [cutting(quickly(NUMERIC), behavior, false)]
    }
    case 'Punctuation':
      return [cutting(quickly(PUNCTUATION), part.choice('behavior', BEHAVIORS, 'Isolated'), false)]
    case 'Whitespace':
      return [cutting(quickly(WORDS), 'Removed', true)]
    case 'WhitespaceSplit':
      return [cutting(quickly(SPACE), 'Removed', false)]
    case 'BertPreTokenizer':
      return [
        cutting(quickly(SPACE), 'Removed', false),
        cutting(quickly(PUNCTUATION), 'Isolated', false),
      ]
    case 'CharDelimiterSplit':
      return [cutting(findText(part.character('delimiter')), 'Removed', false)]
    case 'FixedLength':
      return [fixedLength(part.whole('length', MAX_FIXED_LENGTH) || refuseZero(part))]
    default:
      throw part.refuse('it is not one of those that cut here as in the Rust library')
  }
}

function refuseZero(part: Part): never {
  throw part.refuse('length has to be at least 1')
}

function cutting(find: FindAll, behavior: Behavior, invert: boolean): Step {
  const cut = cutter(find, behavior, invert)
  return function* ({ list, startsText }) {
    const out: string[] = []
    let isKept = startsText
    for (const [i, word] of list.entries()) {
      const beginsThere = yield* cut(word, out)
      if (i === 0) isKept &&= beginsThere
      if (i % MANY === MANY - 1) yield
    }
    return { list: out, startsText: isKept }
  }
}

interface PlacedWord {
  readonly word: string
  /** Whether the text begins with it. */
  readonly startsText: boolean
}

function eachWord(change: (placed: PlacedWord) => string): Step {
  return function* ({ list, startsText }) {
    const out: string[] = []
    for (const [i, word] of list.entries()) {
      out.push(change({ word, startsText: i === 0 && startsText }))
      if (i % MANY === MANY - 1) yield
    }
    return { list: out, startsText }
  }
}

/** SentencePiece's notation of spaces, perhaps with one in front, cut in front of each. */
function metaspace(part: Part): Step[] {
  const mark = part.character('replacement')
  const scheme = part.choice('prepend_scheme', SCHEMES, 'always')
  const isPlain = !part.boolean('add_prefix_space', true)
  if (isPlain && part.has('prepend_scheme') && scheme !== 'never') {
    throw part.refuse('add_prefix_space does not go with prepend_scheme')
  }
  const spaced = eachWord(({ word, startsText }) => {
    const marked = word.replaceAll(' ', mark)
    const wanted = scheme === 'always' || (scheme === 'first' && startsText)
    return wanted && !isPlain && !marked.startsWith(mark) ? mark + marked : marked
  })
  if (!part.boolean('split', true)) return [spaced]
  return [spaced, cutting(findText(mark), 'MergedWithNext', false)]
}

function fixedLength(length: number): Step {
  return function* ({ list, startsText }) {
    const pieces: string[] = []
    for (const word of list) {
      let [piece, count] = ['', 0]
      for (const character of word) {
        piece += character
        if (++count % length !== 0) continue
        pieces.push(piece)
        piece = ''
        if (pieces.length % MANY === 0) yield
      }
      if (piece !== '') pieces.push(piece)
    }
    return { list: pieces, startsText }
  }
}
