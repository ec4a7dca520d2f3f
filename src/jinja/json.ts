/** json.dumps of Python, with the settings that transformers gives the filter `tojson`. */
import { TemplateError } from './errors.ts'
import { floatText, type Surroundings } from './show.ts'
import { compareText, hex } from './text.ts'
import { Dict, Float, Markup, numberOf, Tuple, typeName, type Value } from './values.ts'

export interface JsonStyle {
  readonly ensureAscii: boolean
  /** What a level is indented by; undefined writes all on one line. */
  readonly indent: string | undefined
  readonly itemSeparator: string
  readonly keySeparator: string
  readonly sortKeys: boolean
}

/** @throws TemplateError for a value that JSON has not */
export function toJson(value: Value, style: JsonStyle, run: Surroundings): string {
  const write = (item: Value, level: number): string => {
    run.budget.step()
    if (item === null || typeof item === 'boolean') return String(item)
    if (typeof item === 'number') return String(item)
    if (item instanceof Float) return jsonFloat(item.value)
    if (typeof item === 'string') return quoted(item, style, run)
    if (item instanceof Markup) return quoted(item.text, style, run)
    const list = Array.isArray(item) ? item : item instanceof Tuple ? item.items : undefined
    if (list !== undefined)
      return enclosed(
        '[',
        ']',
        list.map((one) => write(one, level + 1)),
        level,
      )
    if (item instanceof Dict) {
      const entries = [...item.entries()].map(([key, one]) => [keyText(key), one] as const)
      if (style.sortKeys) entries.sort(([a], [b]) => compareText(a, b))
      const pairs = entries.map(([key, one]) => {
        return quoted(key, style, run) + style.keySeparator + write(one, level + 1)
      })
      return enclosed('{', '}', pairs, level)
    }
    throw new TemplateError(`a ${typeName(item)} cannot become JSON`)
  }
  const enclosed = (
    open: string,
    close: string,
    parts: readonly string[],
    level: number,
  ): string => {
    if (parts.length === 0) return open + close
    const { indent, itemSeparator } = style
    const line = indent === undefined ? '' : `\n${indent.repeat(level + 1)}`
    const last = indent === undefined ? '' : `\n${indent.repeat(level)}`
    const between = itemSeparator + line
    run.budget.make(
      parts.reduce((sum, part) => sum + part.length + between.length, line.length + 2),
    )
    return open + line + parts.join(between) + last + close
  }
  return write(value, 0)
}

function jsonFloat(value: number): string {
  if (Number.isNaN(value)) return 'NaN'
  return Number.isFinite(value) ? floatText(value) : value < 0 ? '-Infinity' : 'Infinity'
}

function keyText(key: Value): string {
  if (typeof key === 'string') return key
  if (key instanceof Markup) return key.text
  if (key instanceof Float) return jsonFloat(key.value)
  if (key === null || numberOf(key) !== undefined) return String(key)
  throw new TemplateError(`a ${typeName(key)} cannot be a key of JSON`)
}

function quoted(text: string, { ensureAscii }: JsonStyle, { budget }: Surroundings): string {
  budget.make(text.length + 2)
  // JSON.stringify escapes halves of surrogate pairs, which Python leaves alone.
  const escaped = text.replace(/["\\]|\p{Cc}/gu, (character) =>
    JSON.stringify(character).slice(1, -1),
  )
  const result = ensureAscii
    ? escaped.replace(/[\u007f-\uffff]/g, (unit) =>
        unit === '\u007f' ? unit : `\\u${hex(unit.charCodeAt(0), 4)}`,
      )
    : escaped
  budget.make(result.length - text.length)
  return `"${result}"`
}
