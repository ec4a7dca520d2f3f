/**
 * Options of a run in YAML, by the names of the flags: read, with every mistake told by its line, and written into the
 * folder of a run, so that it can be run again.
 */
import {
  isAlias,
  isMap,
  isScalar,
  LineCounter,
  type ParsedNode,
  parseDocument,
  stringify,
  visit,
} from 'yaml'
import { isObject, messageOf } from '../../checks.ts'
import { UsageError } from '../../errors.ts'
import { checkOptions, type OptionRule, type OptionRules } from '../../option-checks.ts'

/** Characters of a file that is none of ours. */
const MAX_LENGTH = 1 << 20
/** Brackets in brackets: options are lists at most. */
const MAX_DEPTH = 20

/**
 * The options in a text. YAML 1.2, of which JSON is a part; names as flags have them, "eval-every", or as the library
 * has, "evalEvery". Aliases and tags are refused.
 *
 * @param path for messages
 * @param rules of every option that there may be
 * @throws UsageError naming the file and the line
 */
export function readConfigText<Options extends object>(
  text: string,
  path: string,
  rules: OptionRules<Options>,
): Options {
  const lines = new LineCounter()
  const lineAt = (offset: number | undefined) => lines.linePos(offset ?? 0).line
  const wrong = (line: number, what: string) => new UsageError(`${path}, line ${line}: ${what}`)
  const deep = text.length > MAX_LENGTH ? MAX_LENGTH : tooDeepAt(text)
  if (deep !== undefined) {
    const line = text.slice(0, deep).split('\n').length
    throw wrong(
      line,
      `Expected at most ${MAX_LENGTH} characters and lists of plain values, got more.`,
    )
  }
  const document = (() => {
    try {
      return parseDocument(text, { lineCounter: lines, prettyErrors: false })
    } catch (error) {
      throw wrong(1, `Expected YAML: ${messageOf(error)}.`)
    }
  })()
  const [problem] = [...document.errors, ...document.warnings]
  if (problem !== undefined) {
    throw wrong(lineAt(problem.pos[0]), `Expected YAML: ${problem.message}.`)
  }
  visit(document, (_, node) => {
    if (isAlias(node)) throw wrong(lineAt(node.range?.[0]), 'Expected a value, got an alias (*).')
  })
  const { contents } = document
  if (!isMap<ParsedNode, ParsedNode | null>(contents)) {
    if (contents === null) return {} as Options
    throw wrong(lineAt(contents.range[0]), 'Expected options, as "steps: 500", got another value.')
  }
  const options: Record<string, unknown> = {}
  for (const { key, value } of contents.items) {
    const line = lineAt(key.range[0])
    const written = isScalar(key) ? String(key.value) : '?'
    const name = camelCase(written)
    const own = value === null || value.toJS(document) === null ? undefined : value.toJS(document)
    try {
      if (own === undefined) throw new UsageError(`Expected a value for ${written}, got none.`)
      if (Object.hasOwn(options, name))
        throw new UsageError(`Expected ${written} once, got it again.`)
      // Nothing else may be wrong with what has one option alone.
      checkOptions('a run', { [name]: own } as Options, rules)
    } catch (error) {
      throw wrong(line, messageOf(error))
    }
    options[name] = own
  }
  return options as Options
}

/** Where brackets, or indentation, go deeper than options can; whatever else the text is. */
function tooDeepAt(text: string): number | undefined {
  let depth = 0
  for (let at = -1; at < text.length; at++) {
    const char = text[at] ?? '\n'
    if (char === '[' || char === '{') depth++
    else if (char === ']' || char === '}') depth = Math.max(0, depth - 1)
    else if (char === '\n') {
      const [, begin] = /^([ \-?:]*)/.exec(text.slice(at + 1, at + 1 + 200)) ?? ['', '']
      if (begin.length > 100) return at + 1
    }
    if (depth > MAX_DEPTH) return at
  }
  return undefined
}

function camelCase(name: string): string {
  return name.replace(/-([a-z0-9])/g, (_, letter: string) => letter.toUpperCase())
}

function flagName(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)
}

/** The options of a run, as {@link readConfigText} reads them. */
export function configText(options: object, rules: Readonly<Record<string, OptionRule>>): string {
  const entries = Object.entries(options).filter(([name, value]) => {
    const isPlain = !isObject(value) && typeof value !== 'function'
    return Object.hasOwn(rules, name) && value !== undefined && isPlain
  })
  return stringify(Object.fromEntries(entries.map(([name, value]) => [flagName(name), value])))
}
