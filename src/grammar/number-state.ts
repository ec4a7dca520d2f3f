/** A number as its text grows: which digits may follow, so that some number within the bounds can still come. */
import { hasOneOf, LIMIT, MOST_DIGITS } from './decimal.ts'
import type { NumberShape } from './schema-node.ts'

type Phase = 'start' | 'minus' | 'whole' | 'point' | 'fraction' | 'e' | 'sign' | 'exponent'

export interface NumberState {
  readonly shape: NumberShape
  readonly phase: Phase
  readonly isNegative: boolean
  /** All digits so far, but for those of an exponent. */
  readonly digits: bigint
  /** How many there are before the point, behind it, and of the exponent. */
  readonly whole: number
  readonly fraction: number
  readonly exponent: number
}

const MOST_EXPONENT = 2
const [MINUS, PLUS, POINT, ZERO, NINE] = [0x2d, 0x2b, 0x2e, 0x30, 0x39]

export function numberStart(shape: NumberShape): NumberState {
  const none = { digits: 0n, whole: 0, fraction: 0, exponent: 0 }
  return { shape, phase: 'start', isNegative: false, ...none }
}

export function numberKey(state: NumberState): string {
  const { phase, isNegative, digits, whole, fraction, exponent } = state
  return `${phase} ${isNegative} ${digits} ${whole} ${fraction} ${exponent}`
}

/** @returns undefined where no number goes on so */
export function stepNumber(state: NumberState, byte: number): NumberState | undefined {
  const { phase, shape } = state
  const isDigit = byte >= ZERO && byte <= NINE
  const isE = byte === 0x65 || byte === 0x45
  if (!isDigit && !isE && byte !== POINT && byte !== MINUS && byte !== PLUS) return undefined
  const digits = isDigit ? digitsBehind(state, BigInt(byte - ZERO)) : state.digits
  let next: NumberState | undefined
  if (phase === 'start' || phase === 'minus') {
    if (isDigit) next = { ...state, phase: 'whole', digits, whole: 1 }
    else if (phase === 'start' && byte === MINUS)
      next = { ...state, phase: 'minus', isNegative: true }
  } else if (phase === 'whole') {
    const isZero = state.digits === 0n
    if (isDigit && !isZero && state.whole < mostWhole(shape))
      next = { ...state, digits, whole: state.whole + 1 }
    else if (byte === POINT && shape.fraction > 0) next = { ...state, phase: 'point' }
  } else if (phase === 'point' || phase === 'fraction') {
    const hasRoom = state.fraction < shape.fraction
    if (isDigit && hasRoom)
      next = { ...state, phase: 'fraction', digits, fraction: state.fraction + 1 }
  } else if (isDigit && state.exponent < MOST_EXPONENT) {
    next = { ...state, phase: 'exponent', exponent: state.exponent + 1 }
  } else if (phase === 'e' && (byte === PLUS || byte === MINUS)) next = { ...state, phase: 'sign' }
  if (isE && shape.hasExponent && (phase === 'whole' || phase === 'fraction')) {
    next = { ...state, phase: 'e' }
  }
  return next !== undefined && numberNeed(next) !== Number.POSITIVE_INFINITY ? next : undefined
}

/** One more. Where it is all the same which they are, a one stands for them: numbers have few states then. */
function digitsBehind({ shape, isNegative, digits }: NumberState, digit: bigint): bigint {
  const all = digits * 10n + digit
  const { min, max, multipleOf } = shape
  const isOpen = isNegative ? min <= -LIMIT && max >= -1n : max >= LIMIT && min <= 1n
  return isOpen && multipleOf === 1n && all > 0n ? 1n : all
}

export function mayEnd(state: NumberState): boolean {
  const { phase } = state
  if (phase === 'exponent') return true
  return (phase === 'whole' || phase === 'fraction') && hasValue(state, 0, state.fraction)
}

/** How few characters, a token each, end the number; infinite where nothing does. */
export function numberNeed(state: NumberState): number {
  const { phase, shape, whole, fraction } = state
  if (mayEnd(state)) return 0
  if (phase === 'e' || phase === 'sign') return 1
  if (phase === 'start' || phase === 'minus') return needOfBeginning(state)
  const most =
    phase === 'whole' && (whole === 0 || state.digits > 0n) ? mostWhole(shape) - whole : 0
  let least = Number.POSITIVE_INFINITY
  for (let more = 0; more <= most && more < least; more++) {
    for (let behind = fraction; behind <= shape.fraction; behind++) {
      if (phase === 'point' && behind === 0) continue
      const point = phase === 'whole' && behind > 0 ? 1 : 0
      const need = more + point + behind - fraction
      if (need < least && hasValue(state, more, behind)) least = need
    }
  }
  return least
}

function needOfBeginning(state: NumberState): number {
  let least = Number.POSITIVE_INFINITY
  if (state.phase === 'start') {
    const minus: NumberState = { ...state, phase: 'minus', isNegative: true }
    least = 1 + needOfBeginning(minus)
  }
  for (let digit = 0n; digit <= 9n; digit++) {
    const begun: NumberState = { ...state, phase: 'whole', digits: digit, whole: 1 }
    least = Math.min(least, 1 + numberNeed(begun))
  }
  return least
}

function mostWhole({ fraction }: NumberShape): number {
  return MOST_DIGITS - fraction
}

/** Whether `more` digits before the point, and then so many behind it in all, make a number that is allowed. */
function hasValue(state: NumberState, more: number, behind: number): boolean {
  const { shape, digits, fraction, isNegative } = state
  const step = 10n ** BigInt(shape.fraction - behind)
  const free = 10n ** BigInt(more + behind - fraction)
  const low = digits * free * step
  const high = ((digits + 1n) * free - 1n) * step
  // No minus before nothing.
  const from = isNegative && low === 0n ? 1n : low
  return isNegative ? hasOneOf(shape, -high, -from, step) : hasOneOf(shape, from, high, step)
}
