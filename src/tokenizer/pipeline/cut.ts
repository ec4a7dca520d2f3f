/**
 * Cutting texts at matches, with what is to become of the matches: the five behaviours of tokenizer.json.
 */

import { MANY, type Steps } from '../../steps.ts'
import type { FindAll } from '../regex/expression.ts'

export const BEHAVIORS = [
  'Removed',
  'Isolated',
  'MergedWithPrevious',
  'MergedWithNext',
  'Contiguous',
] as const

export type Behavior = (typeof BEHAVIORS)[number]

/** Appends the pieces of a text to `out`; true if the first of them begins where the text does. */
export type Cut = (text: string, out: string[]) => Steps<boolean>

/** Cuts at what `find` finds; with `invert` at what lies between. Empty pieces are left out. */
export function cutter(find: FindAll, behavior: Behavior, invert: boolean): Cut {
  if (behavior === 'Isolated') {
    return function* (text, out) {
      return yield* isolate(yield* find(text), text, out)
    }
  }
  return function* (text, out) {
    const parts = yield* partsOf(yield* find(text), text.length, invert)
    const spans = yield* joined(parts, behavior)
    const count = out.length
    for (const { start, end } of spans) {
      if (end > start) out.push(text.slice(start, end))
      if (out.length % MANY === 0) yield
    }
    return out.length > count && spans[0].start === 0
  }
}

function* isolate(found: readonly number[], text: string, out: string[]): Steps<boolean> {
  let last = 0
  for (let i = 0; i < found.length; i += 2) {
    if ((i + 2) % MANY === 0) yield
    const [start, end] = [found[i], found[i + 1]]
    if (start > last) out.push(text.slice(last, start))
    if (end > start) out.push(text.slice(start, end))
    last = end
  }
  if (last < text.length) out.push(last === 0 ? text : text.slice(last))
  return true
}

interface Part {
  readonly start: number
  readonly end: number
  readonly isMatch: boolean
}

/** Matches and what lies between them, in turn. */
function* partsOf(found: readonly number[], length: number, invert: boolean): Steps<Part[]> {
  const parts: Part[] = []
  let last = 0
  for (let i = 0; i < found.length; i += 2) {
    if ((i + 2) % MANY === 0) yield
    const [start, end] = [found[i], found[i + 1]]
    if (start > last) parts.push({ start: last, end: start, isMatch: invert })
    parts.push({ start, end, isMatch: !invert })
    last = end
  }
  if (last < length) parts.push({ start: last, end: length, isMatch: invert })
  return parts
}

interface Span {
  start: number
  end: number
}

function* joined(
  parts: readonly Part[],
  behavior: Exclude<Behavior, 'Isolated'>,
): Steps<readonly Span[]> {
  if (behavior === 'Removed') return parts.filter(({ isMatch }) => !isMatch)
  if (behavior === 'MergedWithNext') {
    // From the end, where a match is joined to what comes behind it.
    const reversed = [...parts].reverse()
    const spans = yield* join(reversed, isLone, (span, { start }) => {
      span.start = start
    })
    return spans.reverse()
  }
  const isJoined = behavior === 'Contiguous' ? isAlike : isLone
  return yield* join(parts, isJoined, (span, { end }) => {
    span.end = end
  })
}

/** A match that follows a match directly stays a piece of its own. */
const isLone = (isMatch: boolean, wasMatch: boolean) => isMatch && !wasMatch
const isAlike = (isMatch: boolean, wasMatch: boolean) => isMatch === wasMatch

function* join(
  parts: readonly Part[],
  isJoined: (isMatch: boolean, wasMatch: boolean) => boolean,
  extend: (span: Span, part: Part) => void,
): Steps<Span[]> {
  const spans: Span[] = []
  let wasMatch = false
  for (const part of parts) {
    const span = spans.at(-1)
    if (span !== undefined && isJoined(part.isMatch, wasMatch)) extend(span, part)
    else spans.push({ start: part.start, end: part.end })
    wasMatch = part.isMatch
    if (spans.length % MANY === 0) yield
  }
  return spans
}
