/**
 * Runs programs of expressions in time that grows with the text and not with the ways to match it:
 * backtracking, with a note of every place from which a step has failed, so that none is tried twice
 * (as in RE2's bit-state matcher). Without groups that are remembered, whether a step succeeds depends on
 * its place alone, so the notes hold for the next match as well. Expressions that look around, or take
 * atomically, over long distances can still cost more; a budget ends them.
 */
import type { Steps } from '../../steps.ts'
import type { Program, Step } from './program.ts'
import { ExpressionError } from './unsupported.ts'

/**
 * Steps for a text. Expressions of published vocabularies take 10 to 40 a character; one whose every step is
 * tried at every character takes as many as it has, and gets them up to a limit.
 */
const BASE_BUDGET = 1_000_000
const BUDGET_PER_CHARACTER = 100
const BUDGET_PER_STEP = 4
const MOST_FOR_STEPS = 1000
/** Notes of one text: 64 MiB. */
const MAX_NOTES = 1 << 24
/** Steps that take a few milliseconds. */
const STEPS_AT_ONCE = 100_000

type Run = Extract<Step, { op: 'run' }>

/** A way not tried yet: a step at one place, or a run's ends before those that were tried. */
interface Choice {
  readonly step: number
  /** The place; of a run the least end that it may have. */
  readonly at: number
  readonly region: Region | undefined
}

/**
 * Neighbouring characters that a run takes. Whichever of them it begins at, what follows an end is the same,
 * so each end is tried once.
 */
interface Region {
  readonly memo: number
  from: number
  readonly to: number
  /** This end and all behind it were tried. */
  tried: number
}

/** What was tried, and so has failed, in one text. */
class Notes {
  readonly #words: Uint32Array
  readonly #width: number
  /** By run: where it was last. */
  readonly regions: (Region | undefined)[]
  /** Notes made by an inner expression; they are taken back if it succeeds. */
  trail: number[] | undefined
  #budget: number
  /** The budget at which others have their turn. */
  #pause: number

  constructor(length: number, { steps, memos }: Program) {
    this.#width = Math.max(1, (memos + 31) >> 5)
    if (this.#width * (length + 1) > MAX_NOTES) {
      throw new ExpressionError('the text is too long for it')
    }
    this.#words = new Uint32Array(this.#width * (length + 1))
    this.regions = new Array(memos).fill(undefined)
    const forSteps = Math.min(BUDGET_PER_STEP * steps.length, MOST_FOR_STEPS)
    this.#budget = BASE_BUDGET + (BUDGET_PER_CHARACTER + forSteps) * length
    this.#pause = this.#budget - STEPS_AT_ONCE
  }

  get isPauseDue(): boolean {
    return this.#budget < this.#pause
  }

  /** To be called after a pause. */
  goOn(): void {
    this.#pause = this.#budget - STEPS_AT_ONCE
  }

  /** Notes that a step is tried at a place; false if it was already. */
  first(memo: number, at: number): boolean {
    const index = at * this.#width + (memo >> 5)
    const bit = 1 << (memo & 31)
    if ((this.#words[index] & bit) !== 0) return false
    this.#words[index] |= bit
    this.trail?.push(at, memo)
    return true
  }

  /** Forgets what was noted at the place where a match ends: it may have led there. */
  forget(at: number): void {
    this.#words.fill(0, at * this.#width, (at + 1) * this.#width)
    for (const region of this.regions) {
      if (region !== undefined && region.tried <= at) region.tried = at + 1
    }
  }

  forgetTrail(trail: readonly number[]): void {
    for (let i = 0; i < trail.length; i += 2) {
      const memo = trail[i + 1]
      this.#words[trail[i] * this.#width + (memo >> 5)] &= ~(1 << (memo & 31))
      this.regions[memo] = undefined
    }
  }

  spend(steps: number): void {
    this.#budget -= steps
    if (this.#budget < 0) throw new ExpressionError('it takes too many steps on this text')
  }
}

/**
 * A function that gives the matches in a text, starts and ends in turn, leftmost first, as Oniguruma's
 * search has them.
 *
 * @throws {ExpressionError} on the way, if the expression takes too long on the text
 */
export function matcher(program: Program): (text: string) => Steps<number[]> {
  const { steps } = program
  return function* (text) {
    const notes = new Notes(text.length, program)
    const found: number[] = []
    let start = 0
    let lastEnd = -1
    while (start <= text.length) {
      const attempt: Attempt = { index: 0, place: start, choices: [] }
      let end = run(steps, attempt, text, notes, true)
      while (end === PAUSED) {
        yield
        notes.goOn()
        end = run(steps, attempt, text, notes, true)
      }
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

/** How far the search for a match has come. */
interface Attempt {
  index: number
  place: number
  readonly choices: Choice[]
}

/** Others are to have their turn before an attempt goes on. */
const PAUSED = -2

/** The end of the match that an attempt finds, -1 if it finds none, or {@link PAUSED} where it may be. */
function run(
  steps: readonly Step[],
  attempt: Attempt,
  text: string,
  notes: Notes,
  mayPause: boolean,
): number {
  const { choices } = attempt
  let { index, place } = attempt
  for (;;) {
    if (mayPause && notes.isPauseDue) {
      attempt.index = index
      attempt.place = place
      return PAUSED
    }
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
      case 'run': {
        const end = startRun(step, text, place, notes, choices, index)
        ok = end >= 0
        place = end
        index++
        break
      }
      case 'split':
        ok = notes.first(step.memo, place)
        if (ok) {
          choices.push({ step: step.second, at: place, region: undefined })
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
    const choice = nextChoice(choices, text, notes)
    if (choice === undefined) return -1
    index = choice.step
    place = choice.at
  }
}

/** The way to try now, from the last choice that has any left. */
function nextChoice(choices: Choice[], text: string, notes: Notes): Choice | undefined {
  for (let choice = choices.at(-1); choice !== undefined; choice = choices.at(-1)) {
    const { step, at, region } = choice
    if (region === undefined) return choices.pop()
    const end = region.tried - lengthBefore(text, region.tried)
    if (end >= at) {
      notes.spend(1)
      region.tried = end
      notes.regions[region.memo] = region
      return { step: step + 1, at: end, region }
    }
    choices.pop()
  }
  return undefined
}

/** The first end to try of a run that begins at `start`, -1 if there is none; adds the choice of others. */
function startRun(
  step: Run,
  text: string,
  start: number,
  notes: Notes,
  choices: Choice[],
  index: number,
): number {
  const { isMember, min, max, possessive, memo } = step
  let least = start
  for (let count = 0; count < min; count++) {
    least = afterMember(isMember, text, least)
    if (least < 0) return -1
  }
  if (max !== Number.POSITIVE_INFINITY) {
    let end = least
    for (let count = min; count < max; count++) {
      const next = afterMember(isMember, text, end)
      if (next < 0) break
      end = next
    }
    notes.spend(max)
    if (possessive) return end
    if (!notes.first(memo, start)) return -1
    const region = { memo, from: start, to: end, tried: end }
    if (end > least) choices.push({ step: index, at: least, region })
    return end
  }
  const region = regionAt(isMember, text, start, notes, memo)
  if (possessive) return region.to
  const end = region.tried > region.to ? region.to : region.tried - lengthBefore(text, region.tried)
  // All ends were tried after an earlier start.
  if (end < least || !notes.first(memo, start)) return -1
  region.tried = end
  if (end > least) choices.push({ step: index, at: least, region })
  return end
}

function regionAt(
  isMember: Run['isMember'],
  text: string,
  start: number,
  notes: Notes,
  memo: number,
): Region {
  const known = notes.regions[memo]
  let end = start
  while (known === undefined || end < known.from || end > known.to) {
    const next = afterMember(isMember, text, end)
    if (next < 0) break
    end = next
    notes.spend(1)
  }
  if (known !== undefined && end >= known.from && end <= known.to) {
    known.from = Math.min(known.from, start)
    return known
  }
  const region = { memo, from: start, to: end, tried: end + 1 }
  notes.regions[memo] = region
  return region
}

/** The place behind a character of a set, -1 if there is none. */
function afterMember(isMember: Run['isMember'], text: string, at: number): number {
  const codePoint = text.codePointAt(at)
  if (codePoint === undefined || !isMember(codePoint)) return -1
  return at + (codePoint > 0xffff ? 2 : 1)
}

const lengthBefore = (text: string, at: number) => (at > 1 && isPairEnd(text, at) ? 2 : 1)

function isPairEnd(text: string, end: number): boolean {
  return (
    (text.charCodeAt(end - 1) & 0xfc00) === 0xdc00 && (text.charCodeAt(end - 2) & 0xfc00) === 0xd800
  )
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
  const end = run(steps, { index: entry, place: at, choices: [] }, text, notes, false)
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
    for (let i = 0; i < length && start >= 0; i++) start -= lengthBefore(text, start)
    return start >= 0 && inner(steps, at, text, start, notes) === place
  })
}
