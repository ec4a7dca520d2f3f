/**
 * Expressions of tokenizer.json, in Oniguruma's syntax. A file's expression is code of somebody else: in
 * a backtracking engine it can take for ever on a text of forty characters. So the engine of JavaScript,
 * several times as fast, runs only those that are known by their text and take time linear in the text;
 * the matcher of this folder runs all others.
 */
import { messageOf } from '../../checks.ts'
import { FormatError } from '../../errors.ts'
import { MANY, type Steps } from '../../steps.ts'
import { QUICK_EXPRESSIONS } from './known.ts'
import { matcher } from './matcher.ts'
import { compile } from './program.ts'

/**
 * Where an expression matches in a text: starts and ends in turn, ascending.
 *
 * @throws FormatError on the way, if the expression takes too long on the text
 */
export type FindAll = (text: string) => Steps<readonly number[]>

/**
 * @param field for errors: where the expression stands
 * @throws FormatError if the expression is broken or cannot be matched in bounded time
 */
export function findAll(expression: string, field: string): FindAll {
  const refuse = (cause: unknown) => {
    const shown = JSON.stringify(expression.slice(0, 120))
    return new FormatError(
      `Expected an expression of Oniguruma's that this library can match, got ${shown}: ` +
        `${messageOf(cause)}. The file is damaged or uses a part that is not supported.`,
      { field, cause },
    )
  }
  const quick = QUICK_EXPRESSIONS.get(expression)
  try {
    const match =
      quick === undefined ? matcher(compile(expression)) : quickly(new RegExp(quick, 'gu'))
    return function* (text) {
      // The Rust library finds nothing in an empty text, not even what matches nothing.
      if (text === '') return []
      try {
        return yield* match(text)
      } catch (cause) {
        throw refuse(cause)
      }
    }
  } catch (cause) {
    throw refuse(cause)
  }
}

/** Characters that the engine looks through in milliseconds. */
const STRETCH = 1 << 16
/**
 * So many matches at a stretch's end may be others in the whole text: one that reaches the end, and one in front
 * of it that looked ahead through it, as white space in front of line ends does.
 */
const UNSURE = 4

/**
 * Matches of an expression that the engine runs, stretch by stretch. It must not match nothing, look back, nor
 * look ahead by more than a run of characters of one kind.
 */
export function quickly(expression: RegExp, atOnce: number = STRETCH): FindAll {
  return function* (text) {
    const found: number[] = []
    let length = atOnce
    for (let from = 0; from < text.length; ) {
      const end = Math.min(text.length, from + length)
      const before = found.length
      // Replacing is how the engine lists places fastest.
      text.slice(from, end).replaceAll(expression, (match, at: number) => {
        found.push(from + at, from + at + match.length)
        return ''
      })
      if (end === text.length) break
      found.length = Math.max(before, found.length - 2 * UNSURE)
      // Nothing is sure yet: what comes next is longer, or far away.
      if (found.length === before) length *= 2
      else {
        from = found[found.length - 1]
        length = atOnce
      }
      yield
    }
    return found
  }
}

/** Where a text that is no expression stands in another; nowhere if it is empty. */
export function findText(searched: string): FindAll {
  return function* (text) {
    const found: number[] = []
    if (searched === '') return found
    for (let at = text.indexOf(searched); at >= 0; ) {
      found.push(at, at + searched.length)
      if (found.length % MANY === 0) yield
      at = text.indexOf(searched, at + searched.length)
    }
    return found
  }
}
