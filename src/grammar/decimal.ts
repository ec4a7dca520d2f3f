/** Numbers of a schema as exact decimals. */
import { isObject, type JsonObject } from '../checks.ts'
import { type Path, refuse } from './grammar-error.ts'
import type { NumberShape } from './schema-node.ts'

/**
 * Digits of a number that an answer may have: so many are told apart by float64, whatever they are, so that what
 * lies within the bounds as a decimal does so as a number.
 */
export const MOST_DIGITS = 15
/** What they come to at most, in units of the last one. */
export const LIMIT = 10n ** BigInt(MOST_DIGITS) - 1n
const USUAL_FRACTION = 6
/** Digits before the point, where no bound says. */
const USUAL_WHOLE = MOST_DIGITS - USUAL_FRACTION

/** `units` times 10^-`fraction`. */
interface Decimal {
  readonly units: bigint
  readonly fraction: number
}

/** The shortest decimal that is read as this number. */
function decimalOf(value: number): Decimal {
  const [, sign, whole, behind = '', exponent = '0'] =
    /^(-?)(\d+)(?:\.(\d+))?(?:e([+-]\d+))?$/.exec(String(value)) ?? []
  const units = BigInt(`${sign}${whole}${behind}`)
  const fraction = behind.length - Number(exponent)
  return fraction >= 0
    ? { units, fraction }
    : { units: units * 10n ** BigInt(-fraction), fraction: 0 }
}

/** In units of 10^-`fraction`, rounded up or down where it lies between two. */
function scaled({ units, fraction: own }: Decimal, fraction: number, up: boolean): bigint {
  if (own <= fraction) return units * 10n ** BigInt(fraction - own)
  const divisor = 10n ** BigInt(own - fraction)
  const floor = units / divisor - (units % divisor < 0n ? 1n : 0n)
  return up && floor * divisor < units ? floor + 1n : floor
}

/** @throws UsageError where no number of at most 15 digits is one of these */
export function numberShape(schema: JsonObject, isWhole: boolean, path: Path): NumberShape {
  const multiple = numberAt(schema, 'multipleOf', path)
  if (multiple !== undefined && !(Number.isSafeInteger(multiple) && multiple > 0)) {
    refuse([...path, 'multipleOf'], 'is no whole number above 0')
  }
  const bounds = ['minimum', 'exclusiveMinimum', 'maximum', 'exclusiveMaximum'].map((word) => {
    const value = numberAt(schema, word, path)
    return value === undefined ? undefined : decimalOf(value)
  })
  const wholeOnly = isWhole || multiple !== undefined
  const given = bounds.filter((bound) => bound !== undefined)
  const fraction = wholeOnly ? 0 : fractionFor(given)
  const [min, above, max, below] = bounds.map((bound, i) =>
    bound === undefined ? undefined : scaled(bound, fraction, i === 0 || i === 3),
  )
  const lows = [-LIMIT, min ?? -LIMIT, above === undefined ? -LIMIT : above + 1n]
  const highs = [LIMIT, max ?? LIMIT, below === undefined ? LIMIT : below - 1n]
  const shape: NumberShape = {
    kind: 'number',
    fraction,
    min: lows.reduce((a, b) => (b > a ? b : a)),
    max: highs.reduce((a, b) => (b < a ? b : a)),
    multipleOf: BigInt(multiple ?? 1),
    hasExponent: !wholeOnly && given.length === 0,
  }
  if (!hasOneOf(shape, shape.min, shape.max)) refuse(path, 'allows no number of at most 15 digits')
  return shape
}

/** As many digits behind the point as bounds and 15 digits allow. */
function fractionFor(bounds: readonly Decimal[]): number {
  if (bounds.length === 0) return USUAL_FRACTION
  const wholes = bounds.map(({ units, fraction }) => {
    const whole = units / 10n ** BigInt(fraction)
    return String(whole < 0n ? -whole : whole).length
  })
  const isOpen = bounds.length < 2
  const whole = Math.max(...wholes, isOpen ? USUAL_WHOLE : 0)
  const wanted = Math.max(USUAL_FRACTION, ...bounds.map(({ fraction }) => fraction))
  return Math.max(0, Math.min(wanted, MOST_DIGITS - whole))
}

/** Whether a number of the shape that is a multiple of `step` as well lies from `low` to `high`. */
export function hasOneOf(
  { min, max, multipleOf: own }: NumberShape,
  low: bigint,
  high: bigint,
  step = 1n,
): boolean {
  const multipleOf = own * step
  const from = low > min ? low : min
  const to = high < max ? high : max
  if (from > to) return false
  const rest = ((from % multipleOf) + multipleOf) % multipleOf
  return rest === 0n || from + multipleOf - rest <= to
}

function numberAt(schema: JsonObject, word: string, path: Path): number | undefined {
  const value = isObject(schema) ? schema[word] : undefined
  if (value === undefined) return undefined
  if (typeof value === 'number' && Number.isFinite(value)) return value
  return refuse([...path, word], 'is no number')
}
