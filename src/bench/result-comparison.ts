/**
 * Two results of `bitnet bench --json` side by side. The files come from anywhere, so everything that is
 * read from them is checked.
 */
import { isObject } from '../checks.ts'
import { FormatError } from '../errors.ts'
import { ratioOf, type Summary } from './statistics.ts'

/** One measured thing of a result. */
export interface Measurement {
  readonly name: string
  readonly unit: 'tokens/s' | 'us'
  readonly value: Summary
}

export interface ComparedMeasurement {
  readonly name: string
  readonly unit: Measurement['unit']
  readonly a: Summary
  readonly b: Summary
  /** How many times faster b is than a, whatever the unit. */
  readonly speedup: number
  readonly standardDeviation: number
  /** The speedup differs from 1 by more than twice its standard deviation. */
  readonly isClear: boolean
}

export interface Comparison {
  readonly compared: readonly ComparedMeasurement[]
  /** Names that only one of the two has. */
  readonly onlyA: readonly string[]
  readonly onlyB: readonly string[]
}

/** More than any command line asks for; a longer list is no result of ours. */
const MAX_MEASUREMENTS = 10_000
const MAX_NAME_CHARS = 200

/** What `bitnet bench` without tests has: its own key, and the name it is shown by. */
const GENERATION_FIELDS = [
  ['tokensPerSecond', 'throughput'],
  ['prefillTokensPerSecond', 'prefill'],
  ['decodeTokensPerSecond', 'decode'],
] as const

/**
 * The measurements in a result of any form of `bitnet bench --json`.
 *
 * @param path for messages
 * @throws FormatError if it is none
 */
export function measurementsOf(value: unknown, path: string): Measurement[] {
  const fail = (field: string): never => {
    throw new FormatError(
      `Expected ${path} to be the output of bitnet bench --json, but its "${field}" is not. ` +
        'Make the file again.',
      { field, path },
    )
  }
  if (!isObject(value)) return fail('first value')
  if (value['tests'] !== undefined) {
    return listOf(value['tests'], 'tests', 'tokensPerSecond', 'tokens/s', fail)
  }
  if (value['kernels'] !== undefined) {
    return listOf(value['kernels'], 'kernels', 'microseconds', 'us', fail)
  }
  return GENERATION_FIELDS.map(([field, name]) => ({
    name,
    unit: 'tokens/s',
    value: summaryOf(value[field]) ?? fail(field),
  }))
}

/** Compares what both have, in a's order. */
export function compareMeasurements(
  a: readonly Measurement[],
  b: readonly Measurement[],
): Comparison {
  const ofB = new Map(b.map((measurement) => [keyOf(measurement), measurement]))
  const compared: ComparedMeasurement[] = []
  const onlyA: string[] = []
  for (const measurement of a) {
    const other = ofB.get(keyOf(measurement))
    if (other === undefined) onlyA.push(measurement.name)
    else compared.push(compare(measurement, other))
    ofB.delete(keyOf(measurement))
  }
  return { compared, onlyA, onlyB: [...ofB.values()].map(({ name }) => name) }
}

function compare({ name, unit, value: a }: Measurement, { value: b }: Measurement) {
  // Of times, the smaller is the better one.
  const { ratio, standardDeviation } = unit === 'us' ? ratioOf(b, a) : ratioOf(a, b)
  const isClear = Math.abs(ratio - 1) > 2 * standardDeviation
  return { name, unit, a, b, speedup: ratio, standardDeviation, isClear }
}

function keyOf({ name, unit }: Measurement): string {
  return `${unit} ${name}`
}

function listOf(
  list: unknown,
  field: string,
  valueField: string,
  unit: Measurement['unit'],
  fail: (field: string) => never,
): Measurement[] {
  if (!Array.isArray(list) || list.length === 0 || list.length > MAX_MEASUREMENTS) fail(field)
  return (list as unknown[]).map((entry, i) => {
    if (!isObject(entry)) return fail(`${field}[${i}]`)
    const { name } = entry
    if (typeof name !== 'string' || name.length > MAX_NAME_CHARS) fail(`${field}[${i}].name`)
    const value = summaryOf(entry[valueField]) ?? fail(`${field}[${i}].${valueField}`)
    return { name: String(name), unit, value }
  })
}

/** A summary of positive speeds or times. */
function summaryOf(value: unknown): Summary | undefined {
  if (!isObject(value)) return undefined
  const { mean, standardDeviation, min, max } = value
  if (!isPositive(mean) || !isPositive(min) || !isPositive(max)) return undefined
  if (typeof standardDeviation !== 'number' || !(standardDeviation >= 0)) return undefined
  return { mean, standardDeviation, min, max }
}

function isPositive(value: unknown): value is number {
  return typeof value === 'number' && value > 0 && value < Number.POSITIVE_INFINITY
}
