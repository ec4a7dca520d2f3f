/**
 * Lines that fit a terminal: broken between words, and between the characters of Chinese, Japanese and
 * Korean, whose punctuation stays with what it closes.
 */
import stringWidth from 'string-width'
import { type OutputStream, type Surroundings, widthOf } from './surroundings.ts'

/** Columns of a terminal that a text takes. */
export function columnsOf(text: string): number {
  return stringWidth(text)
}

const WIDE =
  '\\p{Script=Han}\\p{Script=Hiragana}\\p{Script=Katakana}\\p{Script=Hangul}\\u3000-\\u303f\\uff01-\\uff60'
/** What begins no line. */
const CLOSING =
  '、。，．！？：；）］｝」』】〕〉》・ー…ぁぃぅぇぉっゃゅょァィゥェォッャュョ々)\\]}!?.,:;'
/** What ends no line. */
const OPENING = '（［｛「『【〔〈《'
/** What stays together. */
const WORD = `(?:[${OPENING}]*(?:[^\\s${WIDE}]+|[${WIDE}])[${CLOSING}]*|[${OPENING}]+)`
const WORDS = new RegExp(`(${WORD})([^\\S\\n]*)`, 'gu')
/** Spaces and the word behind them, a line end, or spaces that nothing follows. */
const FLOW = new RegExp(`\\n|[^\\S\\n]*${WORD}|[^\\S\\n]+`, 'gu')

/** A text of at most `width` columns; of a longer one the beginning, and a mark. */
export function shortened(text: string, width: number): string {
  if (columnsOf(text) <= width) return text
  let [kept, columns] = ['', 1]
  for (const character of text) {
    columns += columnsOf(character)
    if (columns > width) break
    kept += character
  }
  return `${kept}…`
}

/** A text on lines of at most `width` columns; what is longer has a line of its own. */
export function wrapText(text: string, width = Number.POSITIVE_INFINITY): string[] {
  if (columnsOf(text) <= width) return [text]
  const [indent] = text.match(/^ */) ?? ['']
  return wrapHanging(text.trimStart(), width - indent.length).map((line) => indent + line)
}

/** The same, each line but the first set in by `hang` columns. */
function wrapHanging(text: string, width: number, hang = 0): string[] {
  const lines: string[] = []
  let [line, columns, gap] = ['', 0, '']
  for (const [, word, spaces] of text.matchAll(WORDS)) {
    const wide = columnsOf(word)
    if (columns > hang && columns + gap.length + wide > width) {
      lines.push(line)
      ;[line, columns, gap] = [' '.repeat(hang), hang, '']
    }
    line += gap + word
    columns += gap.length + wide
    gap = spaces
  }
  return [...lines, line]
}

/** Columns beyond which lines of prose are no easier to read. */
const PROSE = 80

/**
 * What is said to a person, of several lines: each is wrapped by itself. A list, whose entries are followed
 * by spaces and what is said of them, keeps that in a column where there is room.
 */
export function wrapProse(text: string, width = Number.POSITIVE_INFINITY): string {
  const room = Math.min(width, PROSE)
  const lines = text.split('\n').flatMap((line) => {
    if (columnsOf(line) <= room) return [line]
    const entry = /^.*?\S {2,}(?=\S)/.exec(line)?.[0]
    const indent = /^ */.exec(line)?.[0].length ?? 0
    const column = entry === undefined ? indent : columnsOf(entry)
    const hang = column <= room / 2 ? column : indent + 4
    const [first, ...rest] = wrapHanging(line.slice(indent), room - indent, hang - indent)
    return [first, ...rest].map((part) => ' '.repeat(indent) + part)
  })
  return lines.join('\n')
}

/** What a stream is shown of what is said: a pipe the lines as they are. */
export function proseFor(stream: OutputStream, text: string, env: Surroundings['env']): string {
  return stream.isTTY === true ? wrapProse(text, widthOf({ stdout: stream, env })) : text
}

/** Words with a space between, on as few lines of at most `width` columns as hold them. */
export function wrapWords(words: readonly string[], width: number): string[] {
  const lines: string[] = []
  for (const word of words) {
    const last = lines.at(-1)
    if (last === undefined || columnsOf(last) + 1 + columnsOf(word) > width) lines.push(word)
    else lines[lines.length - 1] = `${last} ${word}`
  }
  return lines
}

/** Characters of a word that is held back; what is longer is no word. */
const LONGEST = 200

/** A text that comes in pieces, written so that no word is cut at the edge: it lags behind by one. */
export class WordFlow {
  readonly #width: number
  #column = 0
  /** Spaces behind the last word, and the word that may not be whole. */
  #held = ''
  /** Whether what comes next belongs to a word that was too long to hold. */
  #isWithin = false

  /** @param width columns; unset: lines have no end */
  constructor(width = Number.POSITIVE_INFINITY) {
    this.#width = width
  }

  /** What is certain with this piece. */
  push(piece: string): string {
    if (this.#width === Number.POSITIVE_INFINITY) return piece
    const text = this.#held + piece
    // Punctuation may follow a wide character, letters a letter: the last unit waits.
    const units = [...text.matchAll(FLOW)]
    const last = units.at(-1)
    const isOpen = last !== undefined && !last[0].endsWith('\n') && last[0].length <= LONGEST
    this.#held = isOpen ? last[0] : ''
    const shown = (isOpen ? units.slice(0, -1) : units).map(([unit]) => this.#place(unit)).join('')
    this.#isWithin = last !== undefined && last[0].length > LONGEST
    return shown
  }

  /** The rest. */
  end(): string {
    const rest = this.#held
    this.#held = ''
    return rest === '' ? '' : this.#place(rest)
  }

  #place(unit: string): string {
    if (unit === '\n') {
      this.#column = 0
      return unit
    }
    const word = unit.trimStart()
    const [columns, gap] = [columnsOf(word), unit.length - word.length]
    const isLine = this.#column > 0 && word !== '' && !(this.#isWithin && gap === 0)
    const isBroken = isLine && this.#column + gap + columns > this.#width
    this.#isWithin = false
    const end = isBroken ? columns : this.#column + gap + columns
    // The terminal breaks what is longer than a line.
    this.#column = end > this.#width ? end % this.#width : end
    return isBroken ? `\n${word}` : unit
  }
}
