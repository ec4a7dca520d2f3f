/** Methods of texts, as Python has them. */
import { bind, intArgument, textArgument } from './arguments.ts'
import { braceFormat, type Lookups } from './brace-format.ts'
import type { Budget } from './budget.ts'
import { notSupported, TemplateError } from './errors.ts'
import type { Surroundings } from './show.ts'
import { sliced } from './slices.ts'
import {
  CASED,
  capitalized,
  charactersOf,
  isLower,
  isSpace,
  isTitled,
  isUpper,
  lengthOf,
  splitLines,
  strip,
  stripEnd,
  stripStart,
  swapped,
  titled,
} from './text.ts'
import { type Arguments, int, isTrue, itemsOf, Tuple, type Value } from './values.ts'

interface Call {
  readonly text: string
  readonly args: Arguments
  readonly run: Surroundings
  readonly lookups: Lookups
}
type Method = (call: Call) => Value

/** Methods that take nothing and look at every character. */
const PLAIN: Readonly<Record<string, (text: string) => Value>> = {
  lower: (text) => text.toLowerCase(),
  upper: (text) => text.toUpperCase(),
  title: titled,
  capitalize: capitalized,
  isspace: isSpace,
  isascii: (text) => !/[^\0-\x7f]/.test(text),
  isalpha: (text) => /^\p{L}+$/u.test(text),
  isdecimal: (text) => /^\p{Nd}+$/u.test(text),
  isdigit: (text) => only(/^\p{Nd}+$/u, /^[\p{Nd}\p{No}]+$/u, text),
  isnumeric: (text) => only(/^\p{N}+$/u, /^[\p{N}\p{Ideographic}]+$/u, text),
  isalnum: (text) => /^[\p{L}\p{N}]+$/u.test(text),
  islower: isLower,
  isupper: isUpper,
  istitle: (text) => /\p{Cased}/u.test(text) && text.match(CASED)?.every(isTitled) === true,
  swapcase: swapped,
  casefold(text) {
    if (/[^\0-\x7f]/.test(text)) throw notSupported('casefold() on other letters than A to Z')
    return text.toLowerCase()
  },
  isidentifier: (text) => /^[\p{XIDS}_]\p{XIDC}*$/u.test(text),
  isprintable: (text) => !/[\p{C}\p{Zl}\p{Zp}]|(?! )\p{Zs}/u.test(text),
}

/** @throws TemplateError where a text has numerals of which Python's tables say more than JavaScript's */
function only(plain: RegExp, withOdd: RegExp, text: string): boolean {
  if (plain.test(text)) return true
  if (!withOdd.test(text)) return false
  throw notSupported('a test for digits on other numerals than decimal ones')
}

const METHODS: Readonly<Record<string, Method>> = {
  strip: (call) => stripped(call, true, true),
  lstrip: (call) => stripped(call, true, false),
  rstrip: (call) => stripped(call, false, true),
  split: (call) => splitText(call, false),
  rsplit: (call) => splitText(call, true),
  splitlines({ text, args, run }) {
    const [keep = false] = bind('splitlines()', ['keepends?'], args)
    const lines = splitLines(text, isTrue(keep))
    run.budget.makeItems(lines.length)
    return lines
  },
  partition: (call) => partitioned(call, false),
  rpartition: (call) => partitioned(call, true),
  startswith: (call) => hasEdge(call, 'startswith()', (part, affix) => part.startsWith(affix)),
  endswith: (call) => hasEdge(call, 'endswith()', (part, affix) => part.endsWith(affix)),
  removeprefix({ text, args }) {
    const [affix] = texts('removeprefix()', ['prefix'], args)
    return text.startsWith(affix) ? text.slice(affix.length) : text
  },
  removesuffix({ text, args }) {
    const [affix] = texts('removesuffix()', ['suffix'], args)
    return affix !== '' && text.endsWith(affix) ? text.slice(0, -affix.length) : text
  },
  replace({ text, args, run }) {
    const [from, to, count = -1] = bind('replace()', ['old', 'new', 'count?'], args)
    const [old, fresh] = [
      textArgument('replace()', from as Value),
      textArgument('replace()', to as Value),
    ]
    return replaced(text, old, fresh, intArgument('replace()', count), run.budget)
  },
  find: (call) => found(call, 'find()', false),
  rfind: (call) => found(call, 'rfind()', true),
  index: (call) => existing(found(call, 'index()', false)),
  rindex: (call) => existing(found(call, 'rindex()', true)),
  count({ text, args, run }) {
    const { part, needle } = searched('count()', text, args)
    return needle === '' ? lengthOf(part) + 1 : partsBetween(part, needle, run.budget).length - 1
  },
  join({ text, args, run }) {
    const [given] = bind('join()', ['iterable'], args)
    const parts = itemsOf(given as Value, run.budget).map((part) => textArgument('join()', part))
    run.budget.make(parts.reduce((sum, part) => sum + part.length + text.length, 0))
    return parts.join(text)
  },
  center: (call) =>
    justified(call, 'center()', (missing, width) => (missing >> 1) + (missing & width & 1)),
  ljust: (call) => justified(call, 'ljust()', () => 0),
  rjust: (call) => justified(call, 'rjust()', (missing) => missing),
  zfill({ text, args, run }) {
    const [width] = bind('zfill()', ['width'], args)
    const missing = Math.max(0, intArgument('zfill()', width as Value) - lengthOf(text))
    run.budget.make(text.length + missing)
    const [, sign = '', digits = ''] = /^([+-]?)(.*)$/s.exec(text) ?? []
    return sign + '0'.repeat(missing) + digits
  },
  expandtabs({ text, args, run }) {
    const [given = 8] = bind('expandtabs()', ['tabsize?'], args)
    const size = intArgument('expandtabs()', given)
    let column = 0
    let result = ''
    for (const character of text) {
      const width = size > 0 ? size - (column % size) : 0
      if (character === '\t') run.budget.make(width)
      result += character === '\t' ? ' '.repeat(width) : character
      column = /[\n\r]/.test(character) ? 0 : column + (character === '\t' ? width : 1)
    }
    return result
  },
  format: ({ text, args, run, lookups }) => braceFormat(text, args, lookups, run),
}

const UNSUPPORTED: ReadonlySet<string> = new Set(['encode', 'format_map', 'maketrans', 'translate'])

/** A method of a text, ready to be called; undefined for a name that Python's texts do not have. */
export function textMethod(
  text: string,
  name: string,
  run: Surroundings,
  lookups: Lookups,
): ((args: Arguments) => Value) | undefined {
  if (UNSUPPORTED.has(name)) throw notSupported(`the method ${name}() of texts`)
  const plain = Object.hasOwn(PLAIN, name) ? PLAIN[name] : undefined
  const method = Object.hasOwn(METHODS, name) ? METHODS[name] : undefined
  if (plain === undefined && method === undefined) return undefined
  return (args) => {
    run.budget.make(text.length)
    if (plain === undefined) return method?.({ text, args, run, lookups }) ?? null
    bind(`${name}()`, [], args)
    return plain(text)
  }
}

function texts(what: string, names: readonly string[], args: Arguments): string[] {
  return bind(what, names, args).map((value) => textArgument(what, value ?? ''))
}

/** str.strip(): white space, or any of the characters that are given. */
export function stripCharacters(
  text: string,
  characters: Value,
  start: boolean,
  end: boolean,
): string {
  if (characters === null)
    return start && end ? strip(text) : start ? stripStart(text) : stripEnd(text)
  const unwanted = new Set(textArgument('strip()', characters))
  const all = Array.from(text)
  let [from, to] = [0, all.length]
  while (start && from < to && unwanted.has(all[from])) from++
  while (end && to > from && unwanted.has(all[to - 1])) to--
  return all.slice(from, to).join('')
}

function stripped({ text, args }: Call, start: boolean, end: boolean): string {
  const [characters = null] = bind('strip()', ['chars?'], args)
  return stripCharacters(text, characters, start, end)
}

function splitText({ text, args, run }: Call, fromEnd: boolean): string[] {
  const [separator = null, max = -1] = bind('split()', ['sep?', 'maxsplit?'], args)
  const limit = intArgument('split()', max)
  const parts =
    separator === null
      ? words(text, run.budget)
      : partsBetween(text, textArgument('split()', separator), run.budget)
  run.budget.makeItems(parts.length)
  if (limit >= 0 && limit < parts.length) {
    // The rest is one part, with the white space at its outer end.
    const last = parts.length - 1
    if (fromEnd)
      parts.splice(0, last - limit + 1, [
        separator === null ? 0 : parts[0][0],
        parts[last - limit][1],
      ])
    else parts.splice(limit, last - limit + 1, [parts[limit][0], text.length])
  }
  return parts.map(([from, to]) => text.slice(from, to))
}

/** Where the words of a text begin and end. */
function words(text: string, budget: Budget): [number, number][] {
  const found: [number, number][] = []
  let from = -1
  for (let at = 0; at <= text.length; at++) {
    const isEnd = at === text.length || isSpace(text[at])
    if (isEnd && from >= 0) {
      budget.step()
      found.push([from, at])
    }
    from = isEnd ? -1 : from < 0 ? at : from
  }
  return found
}

/** Where the parts between separators begin and end. */
function partsBetween(text: string, separator: string, budget: Budget): [number, number][] {
  if (separator === '') throw new TemplateError('split() has an empty separator')
  const found: [number, number][] = []
  let from = 0
  for (;;) {
    budget.step()
    const at = text.indexOf(separator, from)
    found.push([from, at < 0 ? text.length : at])
    if (at < 0) return found
    from = at + separator.length
  }
}

function partitioned({ text, args }: Call, fromEnd: boolean): Tuple {
  const [separator] = texts('partition()', ['sep'], args)
  if (separator === '') throw new TemplateError('partition() has an empty separator')
  const at = fromEnd ? text.lastIndexOf(separator) : text.indexOf(separator)
  if (at < 0) return new Tuple(fromEnd ? ['', '', text] : [text, '', ''])
  return new Tuple([text.slice(0, at), separator, text.slice(at + separator.length)])
}

/** The part of a text that a search is about, and what is searched for. */
function searched(what: string, text: string, args: Arguments) {
  const [given, start = null, end = null] = bind(what, ['sub', 'start?', 'end?'], args)
  const part = sliced(text, [start, end, null]) as string
  return { part, needle: textArgument(what, given as Value), start }
}

function hasEdge(
  { text, args }: Call,
  what: string,
  holds: (part: string, affix: string) => boolean,
): boolean {
  const [given, start = null, end = null] = bind(what, ['prefix', 'start?', 'end?'], args)
  const part = sliced(text, [start, end, null]) as string
  const affixes = given instanceof Tuple ? given.items : [given as Value]
  return affixes.some((affix) => holds(part, textArgument(what, affix)))
}

function found({ text, args }: Call, what: string, last: boolean): number {
  const { part, needle, start } = searched(what, text, args)
  const at = last ? part.lastIndexOf(needle) : part.indexOf(needle)
  if (at < 0) return -1
  const length = lengthOf(text)
  const offset = start === null ? 0 : intArgument(what, start)
  return (
    lengthOf(part.slice(0, at)) +
    Math.min(length, offset < 0 ? Math.max(0, length + offset) : offset)
  )
}

function existing(at: number): number {
  if (at < 0) throw new TemplateError('a text is looked for that is not there')
  return at
}

/** str.replace(): between all characters where `from` is empty. */
export function replaced(
  text: string,
  from: string,
  to: string,
  count: number,
  budget: Budget,
): string {
  const most = count < 0 ? Number.POSITIVE_INFINITY : count
  if (from === '') budget.makeItems(text.length)
  const parts =
    from === ''
      ? ['', ...charactersOf(text), '']
      : partsBetween(text, from, budget).map(([start, end]) => text.slice(start, end))
  const times = Math.min(most, parts.length - 1)
  budget.make(Math.max(0, text.length + times * (to.length - from.length)))
  const rest = parts.slice(times + 1).map((part) => from + part)
  return parts.slice(0, times + 1).join(to) + rest.join('')
}

function justified(
  { text, args, run }: Call,
  what: string,
  left: (missing: number, width: number) => number,
): string {
  const [given, fill = ' '] = bind(what, ['width', 'fillchar?'], args)
  const character = textArgument(what, fill)
  if (lengthOf(character) !== 1) throw new TemplateError(`${what} fills with one character`)
  const width = intArgument(what, given as Value)
  const missing = Math.max(0, width - lengthOf(text))
  run.budget.make(int(missing))
  const before = left(missing, width)
  return character.repeat(before) + text + character.repeat(missing - before)
}
