/**
 * Sets of characters of Oniguruma's expressions: classes, properties, shorthands. Membership is asked of
 * the JavaScript engine's Unicode tables and remembered; they agree with Oniguruma 6.9's for every code
 * point that Unicode 16 assigns.
 */
import type {
  CharacterClassElementNode,
  CharacterClassNode,
  CharacterNode,
  CharacterSetNode,
} from 'oniguruma-parser/parser'
import { unsupported } from './unsupported.ts'

/** True for the code points of a set. */
export type Member = (codePoint: number) => boolean

/** Oniguruma's names of sets, as JavaScript writes them. */
const NAMED: ReadonlyMap<string, string> = new Map([
  ['alnum', '[\\p{Alphabetic}\\p{M}\\p{Nd}]'],
  ['alpha', '[\\p{Alphabetic}\\p{M}]'],
  ['blank', '[\\t\\p{Zs}]'],
  ['cntrl', '\\p{Cc}'],
  ['digit', '\\p{Nd}'],
  ['lower', '\\p{Lowercase}'],
  ['punct', '[\\p{P}\\p{S}]'],
  ['space', '\\p{White_Space}'],
  ['upper', '\\p{Uppercase}'],
  ['word', '[\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}]'],
  // Outside of classes, small numbers and fractions of Latin-1 are of words too.
  ['lone word', '[\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}\\u00b2\\u00b3\\u00b9\\u00bc-\\u00be]'],
  ['xdigit', '[0-9A-Fa-f]'],
])

const BMP = 0x10000

/** A set that remembers what it was asked. */
function remembered(isMember: Member): Member {
  // 0: not asked yet; 1: outside; 2: inside.
  const known = new Uint8Array(BMP)
  return (codePoint) => {
    if (codePoint >= BMP) return isMember(codePoint)
    known[codePoint] ||= isMember(codePoint) ? 2 : 1
    return known[codePoint] === 2
  }
}

function named(name: string): Member {
  const source = NAMED.get(name.toLowerCase())
  for (const tried of source === undefined ? [`\\p{${name}}`, `\\p{Script=${name}}`] : [source]) {
    let expression: RegExp
    try {
      expression = new RegExp(`^${tried}$`, 'u')
    } catch {
      continue
    }
    return (codePoint) => expression.test(String.fromCodePoint(codePoint))
  }
  throw unsupported(`the property ${name}`)
}

const negated = (isMember: Member, isNegated: boolean | undefined): Member =>
  isNegated === true ? (codePoint) => !isMember(codePoint) : isMember

/** Word characters, for borders of words. */
export const wordMember: Member = remembered(named('lone word'))

/** Code points that are one another's upper or lower case, by the simple rules. */
function caseVariants(codePoint: number): number[] {
  const text = String.fromCodePoint(codePoint)
  const variants = [text, text.toLowerCase(), text.toUpperCase()]
  variants.push(...variants.map((variant) => variant.toLowerCase()))
  // Not reached by changing the case: the long s and the signs for kelvin and angstrom.
  for (const [plain, sign] of ['s\u017f', 'k\u212a', '\u00e5\u212b']) {
    if (variants.includes(plain)) variants.push(sign, plain.toUpperCase())
  }
  return variants
    .filter((variant) => [...variant].length === 1)
    .map((c) => c.codePointAt(0) as number)
}

function ignoringCase(isMember: Member): Member {
  return (codePoint) => caseVariants(codePoint).some(isMember)
}

interface Flags {
  readonly ignoreCase: boolean
  readonly dotAll: boolean
}

/** What a node that takes one character takes. */
export function memberOf(
  node: CharacterNode | CharacterClassNode | CharacterSetNode,
  flags: Flags,
): Member {
  const isMember = loneMember(node, flags)
  return remembered(flags.ignoreCase ? ignoringCase(isMember) : isMember)
}

function loneMember(
  node: CharacterNode | CharacterClassNode | CharacterSetNode,
  flags: Flags,
): Member {
  if (node.type === 'CharacterClass') return classMember(node, flags.ignoreCase)
  if (node.type !== 'CharacterSet' || node.kind !== 'word') return elementMember(node, flags)
  return negated(wordMember, node.negate)
}

function classMember(node: CharacterClassNode, ignoreCase: boolean): Member {
  const parts = node.body.map((element) => elementMember(element, { ignoreCase, dotAll: false }))
  const isMember: Member =
    node.kind === 'intersection'
      ? (codePoint) => parts.every((part) => part(codePoint))
      : (codePoint) => parts.some((part) => part(codePoint))
  // Which comes first, the case or the negation, is not the same everywhere.
  if (ignoreCase && node.negate && !node.body.every((element) => element.type === 'CharacterSet')) {
    throw unsupported('a negated class of letters without regard to case')
  }
  return negated(isMember, node.negate)
}

function elementMember(node: CharacterClassElementNode, flags: Flags): Member {
  switch (node.type) {
    case 'Character': {
      checkCase(node.value, flags.ignoreCase)
      return (codePoint) => codePoint === node.value
    }
    case 'CharacterClassRange': {
      const [min, max] = [node.min.value, node.max.value]
      checkCase(max, flags.ignoreCase)
      return (codePoint) => codePoint >= min && codePoint <= max
    }
    case 'CharacterClass':
      return classMember(node, flags.ignoreCase)
    case 'CharacterSet':
      return negated(setMember(node, flags.dotAll), node.negate)
  }
}

/** Beyond ASCII one character may equal two others ("ß", "ss"), which no set can say. */
function checkCase(codePoint: number, ignoreCase: boolean): void {
  if (ignoreCase && codePoint > 127)
    throw unsupported('letters beyond ASCII without regard to case')
}

function setMember(node: CharacterSetNode, dotAll: boolean): Member {
  switch (node.kind) {
    case 'posix':
    case 'property':
      return named(node.value)
    case 'digit':
    case 'space':
    case 'word':
      return named(node.kind)
    case 'hex':
      return named('xdigit')
    case 'any':
      return () => true
    case 'dot':
      return dotAll ? () => true : (codePoint) => codePoint !== 0x0a
    case 'newline':
      if (node.negate !== true) break
      return (codePoint) => codePoint === 0x0a
  }
  throw unsupported(`\\${node.kind === 'newline' ? 'R' : 'X'}`)
}
