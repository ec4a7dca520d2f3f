/**
 * Runs programs of expressions in time that grows with the text and not with the ways to match it:
 * backtracking, with a note of every place from which a step has failed, so that none is tried twice
 * (as in RE2's bit-state matcher). Without groups that are remembered, whether a step succeeds depends on
 * its place alone, so the notes hold for the next match as well. Expressions that look around, or take
 * atomically, over long distances can still cost more; a budget ends them.
 */
import type { Program, Step } from './program.ts'
import { ExpressionError } from './unsupported.ts'

/** Steps for a text: a few hundred milliseconds, and more for texts that are long. */
const BASE_BUDGET = 20_000_000
const BUDGET_PER_CHARACTER = 400
/** Notes of one text: 64 MiB. */
const MAX_NOTES = 1 << 24

/** A way not tried yet: a step at one place, or at all of a run's shorter ends. */
interface Choice {
  readonly step: number
  readonly from: number
  at: number
  /** Of a run: the place where it began, and its end. */
  readonly runStart: number
  readonly runEnd: number
}

/** What failed in one text. */
class Notes {
  readonly words: Uint32Array
  readonly width: number
  /** By run without an upper bound: it fails wherever it starts from here to there. */
  readonly failedFrom: Int32Array
  readonly failedTo: Int32Array
  /** Notes made by an inner expression; they are taken back if it succeeds. */
  trail: number[] | undefined
  budget: number

  constructor(length: number, memos: number) {
    this.width = Math.max(1, (memos + 31) >> 5)
    if (this.width * (length + 1) > MAX_NOTES) {
      throw new ExpressionError('the text is too long for it')
    }
    this.words = new Uint32Array(this.width * (length + 1))
    this.failedFrom = new Int32Array(memos).fill(-1)
    this.failedTo = new Int32Array(memos).fill(-1)
    this.budget = BASE_BUDGET + BUDGET_PER_CHARACTER * length
  }

  /** Notes that a step is tried at a place; false if it was already. */
  first(memo: number, at: number): boolean {
    const index = at * this.width + (memo >> 5)
    const bit = 1 << (memo & 31)
    if ((this.words[index] & bit) !== 0) return false
    this.words[index] |= bit
    this.trail?.push(at, memo)
    return true
  }

  /** Forgets what was noted at one place, or since `trail` began. */
  forget(at: number): void {
    this.words.fill(0, at * this.width, (at + 1) * this.width)
  }

  forgetTrail(trail: readonly number[]): void {
    for (let i = 0; i < trail.length; i += 2) {
      const memo = trail[i + 1]
      this.words[trail[i] * this.width + (memo >> 5)] &= ~(1 << (memo & 31))
    }
  }

  spend(steps: number): void {
    this.budget -= steps
    if (this.budget < 0) throw new ExpressionError('it takes too many steps on this text')
  }
}

/**
 * A function that gives the matches in a text, starts and ends in turn, leftmost first, as Oniguruma's
 * search has them.
 *
 * @throws {ExpressionError} when called, if the expression takes too long on the text
 */
export function matcher({ steps, memos }: Program): (text: string) => number[] {
  return (text) => {
    const notes = new Notes(text.length, memos)
    const found: number[] = []
    let start = 0
    let lastEnd = -1
    while (start <= text.length) {
      const end = run(steps, 0, text, start, notes)
      // No match here, or an empty one right behind the last.
      if (end < 0 || (end === start && end === lastEnd)) {
        start += lengthAt(text, start)
        continue
      }
      found.push(start, end)
      notes.forget(end)
      lastEnd = end
      start = end
    }
    return found
  }
}

const lengthAt = (text: string, at: number) => ((text.codePointAt(at) ?? 0) > 0xffff ? 2 : 1)

/** The end of the match that begins at `at`, or -1. */
function run(
  steps: readonly Step[],
  entry: number,
  text: string,
  at: number,
  notes: Notes,
): number {
  const choices: Choice[] = []
  let index = entry
  let place = at
  for (;;) {
    notes.spend(1)
    const step = steps[index]
    let ok = true
    switch (step.op) {
      case 'accept':
        return place
      case 'take': {
        const codePoint = text.codePointAt(place)
        ok = codePoint !== undefined && step.isMember(codePoint)
        if (ok) {
          place += (codePoint as number) > 0xffff ? 2 : 1
          index++
        }
        break
      }
      case 'run':
        ok = place < notes.failedFrom[step.memo] || place > notes.failedTo[step.memo]
        if (ok) {
          const { least, end } = measure(step, text, place, notes)
          ok = least >= 0
          if (ok && end > least && !step.possessive) {
            choices.push({ step: index, from: least, at: end, runStart: place, runEnd: end })
          }
          place = end
          index++
        }
        break
      case 'split':
        ok = notes.first(step.memo, place)
        if (ok) {
          choices.push({ step: step.second, from: -1, at: place, runStart: -1, runEnd: -1 })
          index = step.first
        }
        break
      case 'jump':
        index = step.to
        break
      case 'assert':
        ok = step.holds(text, place)
        index++
        break
      case 'ahead':
        ok = inner(steps, step.inner, text, place, notes) >= 0 !== step.negate
        index = step.next
        break
      case 'behind':
        ok = isBehind(steps, step, text, place, notes) !== step.negate
        index = step.next
        break
      case 'atomic': {
        const end = inner(steps, step.inner, text, place, notes)
        ok = end >= 0
        place = end
        index = step.next
        break
      }
    }
    if (ok) continue
    const next = nextChoice(steps, choices, text, notes)
    if (next === undefined) return -1
    index = next.index
    place = next.place
  }
}

/** The way to try now, from the last choice that has any left. */
function nextChoice(
  steps: readonly Step[],
  choices: Choice[],
  text: string,
  notes: Notes,
): { index: number; place: number } | undefined {
  for (let choice = choices.at(-1); choice !== undefined; choice = choices.at(-1)) {
    if (choice.from < 0) {
      choices.pop()
      return { index: choice.step, place: choice.at }
    }
    const step = steps[choice.step] as Extract<Step, { op: 'run' }>
    while (choice.at > choice.from) {
      choice.at -= choice.at > 1 && isPairEnd(text, choice.at) ? 2 : 1
      notes.spend(1)
      if (notes.first(step.memo, choice.at)) return { index: choice.step + 1, place: choice.at }
    }
    choices.pop()
    // All its ends failed, so whatever starts within it fails as well.
    if (step.max === Number.POSITIVE_INFINITY) {
      notes.failedFrom[step.memo] = choice.runStart
      notes.failedTo[step.memo] = choice.runEnd
    }
  }
  return undefined
}

function isPairEnd(text: string, end: number): boolean {
  return (
    (text.charCodeAt(end - 1) & 0xfc00) === 0xdc00 && (text.charCodeAt(end - 2) & 0xfc00) === 0xd800
  )
}

/** How far a run goes, and the least end it may have; -1 if it is too short. */
function measure(
  { isMember, min, max }: Extract<Step, { op: 'run' }>,
  text: string,
  start: number,
  notes: Notes,
): { least: number; end: number } {
  let least = min === 0 ? start : -1
  let at = start
  let count = 0
  while (count < max) {
    const codePoint = text.codePointAt(at)
    if (codePoint === undefined || !isMember(codePoint)) break
    at += codePoint > 0xffff ? 2 : 1
    count++
    if (count === min) least = at
  }
  notes.spend(count)
  return { least, end: at }
}

/** An inner expression; what it noted on its way to success is no failure. */
function inner(
  steps: readonly Step[],
  entry: number,
  text: string,
  at: number,
  notes: Notes,
): number {
  const outer = notes.trail
  const trail: number[] = []
  notes.trail = trail
  const end = run(steps, entry, text, at, notes)
  notes.trail = outer
  if (end >= 0) notes.forgetTrail(trail)
  else for (const note of outer === undefined ? [] : trail) outer?.push(note)
  return end
}

function isBehind(
  steps: readonly Step[],
  step: Extract<Step, { op: 'behind' }>,
  text: string,
  place: number,
  notes: Notes,
): boolean {
  return step.inner.some(({ at, length }) => {
    let start = place
    for (let i = 0; i < length && start >= 0; i++)
      start -= start > 1 && isPairEnd(text, start) ? 2 : 1
    return start >= 0 && inner(steps, at, text, start, notes) === place
  })
}
