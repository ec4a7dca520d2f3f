/**
 * Oniguruma's expressions as programs for the matcher. Everything without an equal meaning here is
 * refused: backreferences, subroutines, grapheme clusters.
 */
import { toOnigurumaAst } from 'oniguruma-parser'
import type {
  AlternativeElementNode,
  AlternativeNode,
  AssertionNode,
  CharacterClassNode,
  CharacterNode,
  CharacterSetNode,
  FlagsNode,
  LookaroundAssertionNode,
  QuantifierNode,
} from 'oniguruma-parser/parser'
import { type Member, memberOf, wordMember } from './char-set.ts'
import { unsupported } from './unsupported.ts'

/** A step of a program. Targets are indices of steps. */
export type Step =
  /** The end of the expression, or of an inner one. */
  | { readonly op: 'accept' }
  /** One character. */
  | { readonly op: 'take'; readonly isMember: Member }
  /** As many characters as possible, then fewer; all or nothing if `possessive`. `memo` is a place. */
  | {
      readonly op: 'run'
      readonly isMember: Member
      readonly min: number
      readonly max: number
      readonly possessive: boolean
      readonly memo: number
    }
  /** First the one, then the other way. */
  | { readonly op: 'split'; first: number; second: number; readonly memo: number }
  | { readonly op: 'jump'; to: number }
  /** An inner expression at this place, which takes nothing. */
  | { readonly op: 'ahead'; readonly inner: number; readonly negate: boolean; next: number }
  /** Inner expressions of known lengths before this place. */
  | {
      readonly op: 'behind'
      readonly inner: readonly { readonly at: number; readonly length: number }[]
      readonly negate: boolean
      next: number
    }
  /** An inner expression that gives nothing back. */
  | { readonly op: 'atomic'; readonly inner: number; next: number }
  | { readonly op: 'assert'; readonly holds: (text: string, at: number) => boolean }

export interface Program {
  readonly steps: readonly Step[]
  /** How many places remember what failed. */
  readonly memos: number
}

type Flags = { readonly ignoreCase: boolean; readonly dotAll: boolean }
type One = CharacterNode | CharacterClassNode | CharacterSetNode

const MAX_CHARS = 4096
const MAX_STEPS = 10_000
/** Parts that are gone through, those included that become no step, such as empty groups. */
const MAX_PARTS = 40_000
const MAX_DEPTH = 64
const MAX_REPEATS = 1000

/** @throws {ExpressionError} and what the parser throws */
export function compile(expression: string): Program {
  if (expression.length > MAX_CHARS) throw unsupported(`more than ${MAX_CHARS} characters`)
  const { body, flags } = toOnigurumaAst(expression)
  const compiler = new Compiler()
  compiler.whole(body, flags)
  return { steps: compiler.steps, memos: compiler.memos }
}

const isOne = ({ type }: { type: string }) =>
  type === 'Character' || type === 'CharacterClass' || type === 'CharacterSet'

class Compiler {
  readonly steps: Step[] = []
  memos = 0
  #depth = 0
  #parts = 0
  /** A part that is repeated is looked up alike each time; its table takes memory. */
  readonly #members = new Map<One, Member>()

  whole(body: readonly AlternativeNode[], { ignoreCase, dotAll }: FlagsNode): void {
    const [first] = body[0].body
    let alternatives = body
    let flags: Flags = { ignoreCase, dotAll }
    // "(?i)" in front counts for the whole; elsewhere it splits alternatives in ways of its own.
    if (first?.type === 'Directive' && first.kind === 'flags') {
      flags = changed(flags, first.flags)
      alternatives = [{ type: 'Alternative', body: body[0].body.slice(1) }, ...body.slice(1)]
    }
    this.#alternatives(alternatives, flags)
    this.#emit({ op: 'accept' })
  }

  #emit<T extends Step>(step: T): T {
    if (this.steps.length >= MAX_STEPS) throw unsupported('so many repetitions')
    this.steps.push(step)
    return step
  }

  #split(): Extract<Step, { op: 'split' }> {
    return this.#emit({ op: 'split', first: 0, second: 0, memo: this.memos++ })
  }

  #alternatives(alternatives: readonly AlternativeNode[], flags: Flags): void {
    if (++this.#depth > MAX_DEPTH) throw unsupported('groups so deep in groups')
    const ends: Extract<Step, { op: 'jump' }>[] = []
    for (const [i, { body }] of alternatives.entries()) {
      const isLast = i === alternatives.length - 1
      const split = isLast ? undefined : this.#split()
      if (split !== undefined) split.first = this.steps.length
      if (flags.ignoreCase) checkPairs(body)
      for (const node of body) this.#element(node, flags)
      if (split === undefined) continue
      ends.push(this.#emit({ op: 'jump', to: 0 }))
      split.second = this.steps.length
    }
    for (const end of ends) end.to = this.steps.length
    this.#depth--
  }

  /** Flags are those of a part's place. */
  #memberOf(node: One, flags: Flags): Member {
    const known = this.#members.get(node)
    if (known !== undefined) return known
    const isMember = memberOf(node, flags)
    this.#members.set(node, isMember)
    return isMember
  }

  #element(node: AlternativeElementNode, flags: Flags): void {
    if (++this.#parts > MAX_PARTS) throw unsupported('so many repetitions')
    switch (node.type) {
      case 'Character':
      case 'CharacterClass':
      case 'CharacterSet':
        this.#emit({ op: 'take', isMember: this.#memberOf(node, flags) })
        return
      case 'CapturingGroup':
        this.#alternatives(node.body, flags)
        return
      case 'Group': {
        const inner = node.flags === undefined ? flags : changed(flags, node.flags)
        if (node.atomic === true) this.#atomic(() => this.#alternatives(node.body, inner))
        else this.#alternatives(node.body, inner)
        return
      }
      case 'Quantifier':
        this.#quantifier(node, flags)
        return
      case 'LookaroundAssertion':
        this.#lookaround(node, flags)
        return
      case 'Assertion':
        this.#emit({ op: 'assert', holds: assertion(node) })
        return
      default:
        throw unsupported(node.type)
    }
  }

  #atomic(emitInner: () => void): void {
    const step = this.#emit({ op: 'atomic' as const, inner: this.steps.length + 1, next: 0 })
    emitInner()
    this.#emit({ op: 'accept' })
    step.next = this.steps.length
  }

  #lookaround({ kind, negate, body }: LookaroundAssertionNode, flags: Flags): void {
    if (kind === 'lookahead') {
      const step = this.#emit({
        op: 'ahead' as const,
        inner: this.steps.length + 1,
        negate,
        next: 0,
      })
      this.#alternatives(body, flags)
      this.#emit({ op: 'accept' })
      step.next = this.steps.length
      return
    }
    const inner: { at: number; length: number }[] = []
    const step = this.#emit({ op: 'behind' as const, inner, negate, next: 0 })
    for (const alternative of body) {
      inner.push({ at: this.steps.length, length: lengthOf(alternative) })
      this.#alternatives([alternative], flags)
      this.#emit({ op: 'accept' })
    }
    step.next = this.steps.length
  }

  #quantifier({ body, min, max, kind }: QuantifierNode, flags: Flags): void {
    const isBounded = max !== Number.POSITIVE_INFINITY
    if (min > MAX_REPEATS || (isBounded && max > MAX_REPEATS)) {
      throw unsupported(`more than ${MAX_REPEATS} repetitions`)
    }
    if (!isBounded && isOddlyEmpty(body)) {
      throw unsupported('repeating for ever what may take nothing')
    }
    if (isOne(body) && kind !== 'lazy') {
      const isMember = this.#memberOf(body as One, flags)
      const possessive = kind === 'possessive'
      this.#emit({ op: 'run', isMember, min, max, possessive, memo: this.memos++ })
      return
    }
    if (kind === 'possessive') {
      this.#atomic(() => this.#quantifier({ ...quantifier(body, min, max), kind: 'greedy' }, flags))
      return
    }
    for (let i = 0; i < min; i++) this.#element(body, flags)
    const splits: Extract<Step, { op: 'split' }>[] = []
    const again = this.steps.length
    for (let i = min; i < (isBounded ? max : min + 1); i++) {
      const split = this.#split()
      split.first = this.steps.length
      splits.push(split)
      this.#element(body, flags)
    }
    if (!isBounded) this.#emit({ op: 'jump', to: again })
    for (const split of splits) {
      split.second = this.steps.length
      if (kind === 'lazy') [split.first, split.second] = [split.second, split.first]
    }
  }
}

function quantifier(body: QuantifierNode['body'], min: number, max: number): QuantifierNode {
  return { type: 'Quantifier', kind: 'greedy', min, max, body }
}

type Switches = { readonly ignoreCase?: true; readonly dotAll?: true; readonly extended?: true }

function changed(flags: Flags, change: { enable?: Switches; disable?: Switches }): Flags {
  const value = (name: 'ignoreCase' | 'dotAll') =>
    (flags[name] || change.enable?.[name] === true) && change.disable?.[name] !== true
  return { ignoreCase: value('ignoreCase'), dotAll: value('dotAll') }
}

/** Neighbours that one character equals when the case is ignored: "ss" is "ß" too. */
const FOLDED_PAIRS: ReadonlySet<string> = new Set(['ss', 'st', 'ff', 'fi', 'fl'])

function checkPairs(body: readonly AlternativeElementNode[]): void {
  let last = ''
  for (const node of body) {
    const letter = node.type === 'Character' ? String.fromCodePoint(node.value).toLowerCase() : ''
    if (FOLDED_PAIRS.has(last + letter)) {
      throw unsupported(`"${last}${letter}" without regard to case`)
    }
    last = letter
  }
}

/**
 * Whether something takes nothing by another way than by repeating greedily. Oniguruma ends a repetition of it
 * by rules of its own.
 */
function isOddlyEmpty(node: AlternativeElementNode): boolean {
  if (!mayBeEmpty(node)) return false
  if (node.type === 'Quantifier') return node.kind === 'lazy' || isOddlyEmpty(node.body)
  if (node.type !== 'Group' && node.type !== 'CapturingGroup') return true
  return node.body.length > 1 || node.body[0].body.some(isOddlyEmpty)
}

function mayBeEmpty(node: AlternativeElementNode): boolean {
  if (node.type === 'Quantifier') return node.min === 0 || mayBeEmpty(node.body)
  if (node.type !== 'Group' && node.type !== 'CapturingGroup') return !isOne(node)
  return node.body.some(({ body }) => body.every(mayBeEmpty))
}

/** How many characters an alternative takes, always. */
function lengthOf({ body }: AlternativeNode): number {
  let length = 0
  for (const node of body) {
    if (isOne(node)) length++
    else if (node.type === 'Quantifier' && node.min === node.max && isOne(node.body)) {
      length += node.min
    } else if (node.type === 'Group' || node.type === 'CapturingGroup') {
      const lengths = new Set(node.body.map(lengthOf))
      if (lengths.size !== 1) throw unsupported('looking behind at groups of several lengths')
      for (const one of lengths) length += one
    } else if (node.type !== 'Assertion' && node.type !== 'LookaroundAssertion') {
      throw unsupported('looking behind at a text of any length')
    }
  }
  return length
}

const isWordAt = (text: string, at: number) =>
  at < text.length && wordMember(text.codePointAt(at) as number)

/** Whether the character that ends before `at` is one of words. */
function isWordBefore(text: string, at: number): boolean {
  if (at === 0) return false
  const isPair = at > 1 && (text.charCodeAt(at - 1) & 0xfc00) === 0xdc00
  return isWordAt(text, isPair ? at - 2 : at - 1)
}

function assertion({ kind, negate }: AssertionNode): (text: string, at: number) => boolean {
  switch (kind) {
    case 'string_start':
      return (_, at) => at === 0
    case 'string_end':
      return (text, at) => at === text.length
    case 'string_end_newline':
      return (text, at) => at === text.length || (at === text.length - 1 && text[at] === '\n')
    case 'line_start':
      // Not behind a line end that is the last character.
      return (text, at) => at === 0 || (at < text.length && text[at - 1] === '\n')
    case 'line_end':
      return (text, at) => at === text.length || text[at] === '\n'
    case 'word_boundary':
      return (text, at) => (isWordAt(text, at) !== isWordBefore(text, at)) !== (negate ?? false)
    default:
      throw unsupported(kind)
  }
}
