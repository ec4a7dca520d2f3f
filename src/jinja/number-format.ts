/** Numbers as Python's format specifications and % conversions write them. */
import { notSupported, TemplateError } from './errors.ts'
import { floatText } from './show.ts'

/** Digits that a number may be asked for; also a bound of its memory. */
const MAX_DIGITS = 100
/** Columns that a field may be filled up to. */
const MAX_WIDTH = 10_000

/** A float without its sign, as %f, %e and %g write it. */
export function floatDigits(
  value: number,
  kind: string,
  precision: number,
  alternate = false,
): string {
  if (precision > MAX_DIGITS) throw notSupported(`more than ${MAX_DIGITS} digits of a number`)
  const lower = kind.toLowerCase()
  const size = Math.abs(value)
  const digits = Number.isFinite(size)
    ? finiteDigits(size, lower, precision, alternate)
    : floatText(size)
  return kind === lower ? digits : digits.toUpperCase()
}

function finiteDigits(size: number, kind: string, precision: number, alternate: boolean): string {
  if (kind === 'f') {
    // From 1e21 on toFixed() writes an exponent; such a float is whole.
    return size < 1e21 ? fixed(size, precision) : withFraction(BigInt(size).toString(), precision)
  }
  if (kind === 'e') return exponential(size, precision)
  const wanted = Math.max(1, precision)
  const power = Number(exponential(size, wanted - 1).split('e')[1])
  const usesPower = power < -4 || power >= wanted
  const text = usesPower ? exponential(size, wanted - 1) : fixed(size, wanted - 1 - power)
  if (alternate) return text
  return text.includes('.') ? text.replace(/\.?0*(e|$)/, '$1') : text
}

function withFraction(text: string, precision: number): string {
  return precision === 0 ? text : `${text}.${'0'.repeat(precision)}`
}

/** Digits beyond those asked for that show whether a float lies halfway: it has 17 that count. */
const BEYOND = 25

function fixed(size: number, precision: number): string {
  return toEven(size.toFixed(precision), size.toFixed(Math.min(precision + BEYOND, MAX_DIGITS)))
}

/** A float rounded to so many digits behind its point. */
export function fixedNumber(value: number, digits: number): number {
  // A float has no digits beyond these that round() could change.
  return digits > 22
    ? value
    : Number(floatDigits(value, 'f', digits)) * (value < 0 || Object.is(value, -0) ? -1 : 1)
}

function exponential(size: number, precision: number): string {
  const [rounded, exponent] = size.toExponential(precision).split('e')
  const [longer] = size.toExponential(Math.min(precision + BEYOND, MAX_DIGITS)).split('e')
  return `${toEven(rounded, longer)}e${exponent[0]}${exponent.slice(1).padStart(2, '0')}`
}

/** JavaScript takes the larger of two that are as near, Python the one whose last digit is even. */
function toEven(rounded: string, longer: string): string {
  const cut = longer.slice(0, rounded.length)
  const isHalf = /^\.?50*$/.test(longer.slice(rounded.length))
  return isHalf && /[02468]$/.test(cut) ? cut : rounded
}

/** An int without its sign in base 2, 8, 10 or 16. */
export function intDigits(value: number, kind: string): string {
  const base = { b: 2, o: 8, x: 16, X: 16 }[kind] ?? 10
  const text = Math.abs(value).toString(base)
  return kind === 'X' ? text.toUpperCase() : text
}

/** @throws TemplateError for a width that only wastes memory */
export function widthOf(text: string | undefined): number {
  const width = Number(text ?? 0)
  if (width > MAX_WIDTH) throw new TemplateError(`it fills a field of ${text} columns`)
  return width
}
