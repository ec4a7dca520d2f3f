/** value[start:stop:step], as Python has it. */
import { TemplateError } from './errors.ts'
import { charactersOf } from './text.ts'
import { Float, Markup, numberOf, Range, Tuple, typeName, Undefined, type Value } from './values.ts'

/** @throws TemplateError for what has no places */
export function sliced(value: Value, bounds: readonly [Value, Value, Value]): Value {
  if (typeof value === 'string') {
    const characters = charactersOf(value)
    const places = placesOf(characters.length, bounds)
    if (places.step === 1 && typeof characters === 'string')
      return characters.slice(places.from, places.to)
    return pick(places, (at) => characters[at]).join('')
  }
  if (Array.isArray(value)) return pick(placesOf(value.length, bounds), (at) => value[at])
  if (value instanceof Tuple) {
    return new Tuple(pick(placesOf(value.items.length, bounds), (at) => value.items[at]))
  }
  if (value instanceof Range) {
    const { from, to, step } = placesOf(value.length, bounds)
    return new Range(value.at(from), value.at(to), value.step * step)
  }
  if (value instanceof Markup) return sliced(value.text, bounds)
  if (value instanceof Undefined) return value.fail()
  throw new TemplateError(`a ${typeName(value)} has no parts from place to place`)
}

interface Places {
  readonly from: number
  /** One step beyond the last place. */
  readonly to: number
  readonly step: number
}

function placesOf(length: number, [start, stop, by]: readonly [Value, Value, Value]): Places {
  const step = indexOf(by) ?? 1
  if (step === 0) throw new TemplateError('a slice has steps of 0')
  const [low, high] = step > 0 ? [0, length] : [-1, length - 1]
  const bounded = (index: number | undefined, otherwise: number) =>
    index === undefined
      ? otherwise
      : Math.min(high, Math.max(low, index < 0 ? index + length : index))
  const from = bounded(indexOf(start), step > 0 ? low : high)
  const to = bounded(indexOf(stop), step > 0 ? high : low)
  return { from, to, step }
}

function indexOf(value: Value): number | undefined {
  if (value === null) return undefined
  if (value instanceof Undefined) return value.fail()
  const number = value instanceof Float ? undefined : numberOf(value)
  if (number === undefined) throw new TemplateError(`a ${typeName(value)} is no place in a slice`)
  return number
}

function pick<T>({ from, to, step }: Places, at: (index: number) => T): T[] {
  const picked: T[] = []
  for (let i = from; step > 0 ? i < to : i > to; i += step) picked.push(at(i))
  return picked
}
