/**
 * Expressions of tokenizer.json, in Oniguruma's syntax. A file's expression is code of somebody else: in
 * a backtracking engine it can take for ever on a text of forty characters. So the engine of JavaScript,
 * several times as fast, runs only those that are known by their text and take time linear in the text;
 * the matcher of this folder runs all others.
 */
import { messageOf } from '../../checks.ts'
import { FormatError } from '../../errors.ts'
import { QUICK_EXPRESSIONS } from './known.ts'
import { matcher } from './matcher.ts'
import { compile } from './program.ts'

/**
 * Where an expression matches in a text: starts and ends in turn, ascending.
 *
 * @throws FormatError when called, if the expression takes too long on the text
 */
export type FindAll = (text: string) => readonly number[]

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
    const match = quick === undefined ? matcher(compile(expression)) : nativeMatcher(quick)
    return (text) => {
      // The Rust library finds nothing in an empty text, not even what matches nothing.
      if (text === '') return []
      try {
        return match(text)
      } catch (cause) {
        throw refuse(cause)
      }
    }
  } catch (cause) {
    throw refuse(cause)
  }
}

/** None of the known expressions matches nothing, so that every match moves on. */
function nativeMatcher(source: string): FindAll {
  const expression = new RegExp(source, 'gu')
  return (text) => {
    const found: number[] = []
    // Replacing is how the engine lists places fastest.
    text.replaceAll(expression, (match, at: number) => {
      found.push(at, at + match.length)
      return ''
    })
    return found
  }
}

/** Where a text that is no expression stands in another; nowhere if it is empty. */
export function findText(searched: string): FindAll {
  return (text) => {
    const found: number[] = []
    if (searched === '') return found
    for (let at = text.indexOf(searched); at >= 0; ) {
      found.push(at, at + searched.length)
      at = text.indexOf(searched, at + searched.length)
    }
    return found
  }
}
