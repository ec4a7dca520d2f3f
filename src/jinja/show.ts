/** How values are shown: str() and repr() as in Python. */
import type { Budget } from './budget.ts'
import { notSupported } from './errors.ts'
import { reprText } from './text.ts'
import {
  Dict,
  Float,
  Iteration,
  Markup,
  Range,
  Tuple,
  Undefined,
  type Value,
  View,
} from './values.ts'

/** What showing depends on, beside the value. */
export interface Surroundings {
  readonly budget: Budget
  /** Characters that repr() leaves as they are although they cannot be printed. */
  readonly shown: string
  readonly now: Date
}

/** str(): what `{{ value }}` writes. */
export function show(value: Value, run: Surroundings): string {
  if (typeof value === 'string') return value
  if (value instanceof Undefined) return ''
  if (value instanceof Markup) return value.text
  return represent(value, run)
}

/** repr(): what a list shows of its items. */
export function represent(value: Value, run: Surroundings): string {
  const { budget } = run
  budget.step()
  if (value === null) return 'None'
  if (typeof value === 'boolean') return value ? 'True' : 'False'
  if (typeof value === 'number') return String(value)
  if (typeof value === 'string') {
    // Each character may become an escape of ten.
    budget.make(value.length + 2)
    const text = reprText(value, run.shown)
    budget.make(text.length - value.length)
    return text
  }
  if (value instanceof Float) return floatText(value.value)
  const all = (items: readonly Value[]) =>
    joined(
      items.map((item) => represent(item, run)),
      budget,
    )
  if (Array.isArray(value)) return `[${all(value)}]`
  if (value instanceof Tuple) return `(${all(value.items)}${value.items.length === 1 ? ',' : ''})`
  if (value instanceof Dict) {
    const pairs = value
      .entries()
      .map(([key, item]) => `${represent(key, run)}: ${represent(item, run)}`)
    return `{${joined(pairs, budget)}}`
  }
  if (value instanceof Range) {
    const { start, stop, step } = value
    return step === 1 ? `range(${start}, ${stop})` : `range(${start}, ${stop}, ${step})`
  }
  if (value instanceof View) return `${value.kind}([${all(value.items)}])`
  if (value instanceof Markup) return `Markup(${reprText(value.text, run.shown)})`
  if (value instanceof Undefined) return 'Undefined'
  if (value instanceof Iteration)
    throw notSupported(`the text of a ${value.kind} (put | list behind it)`)
  return value.show()
}

function joined(parts: readonly string[], budget: Budget): string {
  budget.make(parts.reduce((sum, part) => sum + part.length + 2, 0))
  return parts.join(', ')
}

/** repr() of a float: the fewest digits that give it back, with an exponent below 1e-4 and from 1e16 on. */
export function floatText(value: number): string {
  if (Number.isNaN(value)) return 'nan'
  if (!Number.isFinite(value)) return value < 0 ? '-inf' : 'inf'
  if (value === 0) return Object.is(value, -0) ? '-0.0' : '0.0'
  const [digits, exponent] = value.toExponential().split('e')
  const power = Number(exponent)
  if (power < -4 || power >= 16) {
    return `${digits}e${power < 0 ? '-' : '+'}${String(Math.abs(power)).padStart(2, '0')}`
  }
  const plain =
    power < 0 ? value.toFixed(digits.replace(/[-.]/g, '').length - 1 - power) : String(value)
  return plain.includes('.') ? plain : `${plain}.0`
}
