/**
 * Strict values for flags: the whole text must be one of some names, or a number in its range. "12abc",
 * "", "1e999" and "0x10" are refused, each with the range in the message.
 */
import { InvalidArgumentError, Option } from 'commander'

/** How a value lies to each kind of bound. */
const BOUNDS = {
  min: { sign: '>=', isInside: (value: number, bound: number) => value >= bound },
  above: { sign: '>', isInside: (value: number, bound: number) => value > bound },
  max: { sign: '<=', isInside: (value: number, bound: number) => value <= bound },
  below: { sign: '<', isInside: (value: number, bound: number) => value < bound },
} as const

/** `above` and `below` are excluded. */
type Range = { readonly [Bound in keyof typeof BOUNDS]?: number }

/** One of the choices, as commander's `.choices` does, in the wording of our other messages. */
export function parseChoice<T extends string>(text: string, choices: readonly T[]): T {
  const choice = choices.find((name) => name === text)
  if (choice === undefined) throw new InvalidArgumentError(`Expected one of ${choices.join(', ')}.`)
  return choice
}

/** A flag that takes one of the choices. */
export function choiceFlag(flag: string, text: string, choices: readonly string[]): Option {
  return new Option(flag, text).choices(choices).argParser((name) => parseChoice(name, choices))
}

/** A parser for commander: a whole number in the range, written in digits. */
export function wholeNumber(range: Range): (text: string) => number {
  return numberIn('a whole number', range, /^[+-]?\d+$/, Number.isSafeInteger)
}

/** A parser for commander: a finite decimal number in the range. */
export function decimalNumber(range: Range): (text: string) => number {
  return numberIn('a number', range, /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i, Number.isFinite)
}

function numberIn(
  what: string,
  range: Range,
  written: RegExp,
  isKind: (value: number) => boolean,
): (text: string) => number {
  const bounds = (Object.keys(BOUNDS) as (keyof Range)[]).flatMap((name) => {
    const bound = range[name]
    return bound === undefined ? [] : [{ ...BOUNDS[name], bound }]
  })
  const inRange = bounds.map(({ sign, bound }) => `${sign} ${bound}`).join(' and ')
  return (text) => {
    const value = Number(text)
    const isInside = bounds.every((one) => one.isInside(value, one.bound))
    if (written.test(text) && isKind(value) && isInside) return value
    throw new InvalidArgumentError(`Expected ${what} ${inRange}.`.replace(' .', '.'))
  }
}

/** A parser for commander: whole numbers with commas between; the flag may be given several times. */
export function wholeNumbers(
  range: Range,
): (text: string, earlier?: readonly number[]) => readonly number[] {
  const one = wholeNumber(range)
  return (text, earlier = []) => [...earlier, ...text.split(',').map(one)]
}
