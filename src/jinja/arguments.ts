/** Arguments of filters, methods and functions, by their place or their name. */
import { TemplateError } from './errors.ts'
import { type Arguments, Markup, numberOf, typeName, Undefined, type Value } from './values.ts'

/**
 * The arguments in the order of `names`; undefined for those that were not given.
 *
 * @param names of optional ones end in "?"
 * @throws TemplateError for too many, unknown or missing ones
 */
export function bind(
  what: string,
  names: readonly string[],
  args: Arguments,
): (Value | undefined)[] {
  if (args.positional.length > names.length) throw new TemplateError(`${what} is given too much`)
  const bound: (Value | undefined)[] = [...args.positional]
  const plain = names.map((name) => name.replace('?', ''))
  for (const [name, value] of args.named) {
    const place = plain.indexOf(name)
    if (place < 0 || bound[place] !== undefined) {
      throw new TemplateError(
        `${what} is given "${name}"${place < 0 ? ', which it does not know' : ' twice'}`,
      )
    }
    bound[place] = value
  }
  for (const [i, name] of names.entries()) {
    if (bound[i] === undefined && !name.endsWith('?'))
      throw new TemplateError(`${what} is not given "${plain[i]}"`)
  }
  bound.length = names.length
  return bound
}

/** A text. @throws TemplateError for anything else */
export function textArgument(what: string, value: Value): string {
  if (typeof value === 'string') return value
  if (value instanceof Markup) return value.text
  if (value instanceof Undefined) return value.fail()
  throw new TemplateError(`${what} needs a text, not a ${typeName(value)}`)
}

/** A whole number. @throws TemplateError for anything else */
export function intArgument(what: string, value: Value): number {
  if (typeof value === 'number' || typeof value === 'boolean') return Number(value)
  if (value instanceof Undefined) return value.fail()
  throw new TemplateError(`${what} needs a whole number, not a ${typeName(value)}`)
}

/** An int, a float or a bool. @throws TemplateError for anything else */
export function numberArgument(what: string, value: Value): number {
  const number = numberOf(value)
  if (number !== undefined) return number
  if (value instanceof Undefined) return value.fail()
  throw new TemplateError(`${what} needs a number, not a ${typeName(value)}`)
}
