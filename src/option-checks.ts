/**
 * Objects of options, each checked against a table with a row for every option: an unknown name, or a value
 * that an option does not take, is refused where it is given. A misspelt name, or one that other programs
 * use, leads to the right one.
 */
import { isObject, isWhole, type JsonObject } from './checks.ts'
import { UsageError } from './errors.ts'

/** What an option may be. */
export interface OptionRule {
  /** As in "Expected topK to be an integer >= 0". */
  readonly expected: string
  readonly holds: (value: unknown) => boolean
  /** Whether a text could be right: else a message says of a text that it is one. */
  readonly takesText?: boolean
  /** The table of an option that is an object of options itself; other values are up to `holds`. */
  readonly fields?: Readonly<Record<string, OptionRule>>
  /** What the option is called elsewhere, e.g. in Python. */
  readonly also?: readonly string[]
  /** Said to who comes by one of those names. */
  readonly hint?: string
}

/** A row for each option of `Options`, no more and no fewer: TypeScript compares the two. */
export type OptionRules<Options> = { readonly [Name in keyof Options]-?: OptionRule }

export const COUNT: OptionRule = {
  expected: 'a whole number from 1 on',
  holds: (value) => isWhole(value, 1),
}
export const SWITCH: OptionRule = {
  expected: 'true or false',
  holds: (value) => typeof value === 'boolean',
}
export const TEXT: OptionRule = {
  expected: 'a text',
  holds: (value) => typeof value === 'string',
  takesText: true,
}
export const FUNCTION: OptionRule = {
  expected: 'a function',
  holds: (value) => typeof value === 'function',
}
export const SIGNAL: OptionRule = {
  expected: 'an AbortSignal',
  holds: (value) => isObject(value) && typeof value['addEventListener'] === 'function',
  also: ['abortSignal', 'abort', 'controller', 'abortController'],
}

/** Whether a schema is of a library that knows the types of its values (https://standardschema.dev). */
export function isTypedSchema(value: unknown): boolean {
  const isThing = isObject(value) || typeof value === 'function'
  return isThing && isObject((value as JsonObject)['~standard'])
}

/** A schema that an answer is held to. */
export const SCHEMA: OptionRule = {
  expected: 'a JSON Schema as an object, or a schema of zod',
  holds: (value) => isObject(value) || isTypedSchema(value),
  also: ['json_schema', 'response_format', 'response_schema', 'format', 'grammar'],
}

/** Descriptions of tools, as chat templates take them. */
export const TOOLS: OptionRule = {
  expected: 'an array of descriptions of tools, an object each',
  holds: (value) => Array.isArray(value) && value.every(isObject),
  also: ['functions', 'tool_definitions'],
}

export function oneOf(names: readonly string[]): OptionRule {
  const holds = (value: unknown) => names.some((name) => name === value)
  return { expected: names.join(', '), holds, takesText: true }
}

/** A list of texts; of `names`, if there are any. */
export function listOf(names?: readonly string[]): OptionRule {
  const isItem = (item: unknown) =>
    typeof item === 'string' && (names === undefined || names.includes(item))
  return {
    expected: names === undefined ? 'a list of texts' : `a list of ${names.join(', ')}`,
    holds: (value) => Array.isArray(value) && value.every(isItem),
  }
}

/** An object of options of its own. */
export function optionsOf(fields: Readonly<Record<string, OptionRule>>): OptionRule {
  return { expected: 'an object', holds: isObject, fields }
}

/**
 * @param owner whose options these are, e.g. "loadModel"
 * @throws UsageError naming the first option that there is not, or whose value it does not take. An option
 *   that is undefined counts as unset.
 */
export function checkOptions<Options extends object>(
  owner: string,
  options: Options,
  rules: OptionRules<Options>,
): void {
  if (!isObject(options)) fail('options', 'an object', options)
  checkFields(owner, '', options, rules)
}

function checkFields(
  owner: string,
  prefix: string,
  options: object,
  rules: Readonly<Record<string, OptionRule>>,
): void {
  for (const name of Object.keys(options)) {
    if (!Object.hasOwn(rules, name)) throw unknownOption(owner, prefix, name, rules)
  }
  for (const [name, rule] of Object.entries(rules)) {
    const value: unknown = (options as Record<string, unknown>)[name]
    if (value === undefined) continue
    if (!rule.holds(value)) fail(prefix + name, rule.expected, value, rule.takesText)
    if (rule.fields !== undefined && isObject(value)) {
      checkFields(owner, `${prefix}${name}.`, value, rule.fields)
    }
  }
}

function unknownOption(
  owner: string,
  prefix: string,
  name: string,
  rules: Readonly<Record<string, OptionRule>>,
): UsageError {
  const near = nearestOption(name, rules)
  const names = Object.keys(rules).map((one) => prefix + one)
  const { expected, hint } = rules[near ?? ''] ?? {}
  const advice =
    near === undefined
      ? `There ${names.length === 1 ? 'is' : 'are'} ${names.join(', ')}.`
      : `Use ${prefix}${near}, ${expected}${hint === undefined ? '' : `: ${hint}`}.`
  const given = JSON.stringify(prefix + name.slice(0, MAX_NAME))
  return new UsageError(`Expected an option of ${owner}, got ${given}. ${advice}`)
}

/** Characters of a name that are looked at: what is longer is none of ours. */
const MAX_NAME = 40

/** The option that is meant, whatever its case, underscores and typing errors. */
function nearestOption(
  given: string,
  rules: Readonly<Record<string, OptionRule>>,
): string | undefined {
  const wanted = plain(given.slice(0, MAX_NAME))
  const names = Object.entries(rules).flatMap(([option, { also = [] }]) =>
    [option, ...also].map((name) => ({ option, name: plain(name) })),
  )
  const exact = names.find(({ name }) => name === wanted)
  if (exact !== undefined) return exact.option
  const begun = names.find(({ name }) => wanted.length > 2 && name.startsWith(wanted))
  if (begun !== undefined) return begun.option
  const ranked = names.map(({ option, name }) => {
    const allowed = Math.max(1, Math.floor(Math.min(name.length, wanted.length) / 3))
    return { option, excess: editDistance(name, wanted) - allowed }
  })
  const best = ranked.sort((a, b) => a.excess - b.excess).at(0)
  return best !== undefined && best.excess <= 0 ? best.option : undefined
}

function plain(name: string): string {
  return name.toLowerCase().replaceAll(/[^a-z0-9]/g, '')
}

/** Letters to add, drop, replace, or swap with the next one (optimal string alignment). */
function editDistance(a: string, b: string): number {
  const rows = Array.from({ length: a.length + 1 }, (_, i) => [i])
  for (let j = 0; j <= b.length; j++) rows[0][j] = j
  for (let i = 1; i <= a.length; i++) {
    for (let j = 1; j <= b.length; j++) {
      const replaced = rows[i - 1][j - 1] + (a[i - 1] === b[j - 1] ? 0 : 1)
      const isSwap = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]
      const swapped = isSwap ? rows[i - 2][j - 2] + 1 : replaced
      rows[i][j] = Math.min(rows[i - 1][j] + 1, rows[i][j - 1] + 1, replaced, swapped)
    }
  }
  return rows[a.length][b.length]
}

/** @throws UsageError in the one form all option errors have */
export function fail(name: string, expected: string, got: unknown, takesText = false): never {
  throw new UsageError(`Expected ${name} to be ${expected}, got ${shown(got, takesText)}.`)
}

function shown(value: unknown, takesText: boolean): string {
  if (typeof value === 'string') {
    return JSON.stringify(value.slice(0, MAX_NAME)) + (takesText ? '' : ' (string)')
  }
  const isPlain = typeof value === 'number' || typeof value === 'boolean'
  if (isPlain || value === null || value === undefined) return String(value)
  return `a value of type ${typeof value}`
}
