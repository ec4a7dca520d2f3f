/**
 * Strict values for flags: the whole text must be one of some names, or a number in its range. "12abc",
 * "", "1e999" and "0x10" are refused, each with the range in the message.
 */
import { InvalidArgumentError } from 'commander'

interface Range {
  readonly min?: number
  /** Excluded lower bound. */
  readonly above?: number
  readonly max?: number
  /** Excluded upper bound. */
  readonly below?: number
}

function rangeText(range: Range): string {
  const parts: string[] = []
  if (range.min !== undefined) parts.push(`>= ${range.min}`)
  if (range.above !== undefined) parts.push(`> ${range.above}`)
  if (range.max !== undefined) parts.push(`<= ${range.max}`)
  if (range.below !== undefined) parts.push(`< ${range.below}`)
  return parts.join(' and ')
}

function isInside(value: number, { min, above, max, below }: Range): boolean {
  return (
    (min === undefined || value >= min) &&
    (above === undefined || value > above) &&
    (max === undefined || value <= max) &&
    (below === undefined || value < below)
  )
}

/** One of the choices, as commander's `.choices` does, in the wording of our other messages. */
export function parseChoice<T extends string>(text: string, choices: readonly T[]): T {
  const choice = choices.find((name) => name === text)
  if (choice === undefined) throw new InvalidArgumentError(`Expected one of ${choices.join(', ')}.`)
  return choice
}

/** A parser for commander: a whole number in the range, written in digits. */
export function wholeNumber(range: Range): (text: string) => number {
  return (text) => {
    const value = /^[+-]?\d+$/.test(text) ? Number(text) : Number.NaN
    if (!Number.isSafeInteger(value) || !isInside(value, range)) {
      throw new InvalidArgumentError(
        `Expected a whole number ${rangeText(range)}.`.replace(' .', '.'),
      )
    }
    return value
  }
}

/** A parser for commander: a finite decimal number in the range. */
export function decimalNumber(range: Range): (text: string) => number {
  return (text) => {
    const isDecimal = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(text)
    const value = isDecimal ? Number(text) : Number.NaN
    if (!Number.isFinite(value) || !isInside(value, range)) {
      throw new InvalidArgumentError(`Expected a number ${rangeText(range)}.`.replace(' .', '.'))
    }
    return value
  }
}

/** A parser for commander: whole numbers with commas between; the flag may be given several times. */
export function wholeNumbers(
  range: Range,
): (text: string, earlier?: readonly number[]) => readonly number[] {
  const one = wholeNumber(range)
  return (text, earlier = []) => [...earlier, ...text.split(',').map(one)]
}
