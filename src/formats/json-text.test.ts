/** JSON as files have it: of bounded memory, and with the numbers that Python writes. */
import { describe, expect, test } from 'vitest'
import { Seeded } from '../kernels/testing/conformance-cases.ts'
import { parseJson, parseJsonText, parseObject } from './json-text.ts'

const parse = (text: string, marks = 1000) => parseJson(new TextEncoder().encode(text), marks)

describe('what Python writes', () => {
  test.each([
    ['{"a": Infinity, "b": -Infinity}', { a: Infinity, b: -Infinity }],
    ['[NaN, 1]', [Number.NaN, 1]],
    ['{"Infinity": "NaN", "b": [Infinity]}', { Infinity: 'NaN', b: [Infinity] }],
    ['{"a": "\\"Infinity\\\\", "b": NaN}', { a: '"Infinity\\', b: Number.NaN }],
  ])('%s is read', (text, value) => {
    expect(parse(text)).toEqual(value)
  })

  test.each(['{"a": Infinit}', '[nan]', '[Infinity', '{"a" NaN}', '[+Infinity]', '["NaN]', ''])(
    '%s is refused with the reason',
    (text) => expect(() => parse(text)).toThrow(/^JSON text, got something else \(.+\)$/),
  )

  test('values from a seeded generator come back, with numbers that JSON lacks among them', () => {
    const seeded = new Seeded(3)
    const pick = <T>(list: readonly T[]): T => list[seeded.below(list.length)]
    const leaves = [
      0,
      -1.5,
      1e300,
      Infinity,
      -Infinity,
      Number.NaN,
      true,
      null,
      'NaN',
      '-Infinity"\\',
    ]
    const grow = (depth: number): unknown => {
      const kind = depth === 0 ? 'leaf' : pick(['leaf', 'list', 'object'])
      if (kind === 'leaf') return pick(leaves)
      const items = Array.from({ length: 3 }, () => grow(depth - 1))
      return kind === 'list' ? items : { 'a"': items[0], NaN: items[1], c: items[2] }
    }
    const write = (value: unknown): string => {
      if (typeof value === 'number') return String(value)
      if (Array.isArray(value)) return `[${value.map(write).join(', ')}]`
      if (typeof value !== 'object' || value === null) return JSON.stringify(value)
      const fields = Object.entries(value).map(
        ([key, one]) => `${JSON.stringify(key)}: ${write(one)}`,
      )
      return `{${fields.join(', ')}}`
    }
    for (let i = 0; i < 300; i++) {
      const value = grow(4)
      expect(parse(write(value))).toEqual(value)
    }
  })
})

describe('memory', () => {
  test('marks inside of texts are none', () => {
    expect(parse('{"a,b:[{": "[[[,,,\\",,,"}', 2)).toEqual({ 'a,b:[{': '[[[,,,",,,' })
    expect(() => parse('{"a,b:[{": "[[[,,,\\",,,"}', 1)).toThrow('at most 1 values')
  })

  test.each(['{},', '[],', '[', '{"a":', '{"a":{},"b":[1,2]},'])(
    '%s over and over is not parsed',
    (unit) => {
      expect(() => parse(`[${unit.repeat(200_000)}`)).toThrow('at most 1000 values and names')
    },
  )

  test('of texts and of objects is bounded as that of files is', () => {
    const many = `{"a":[${'{},'.repeat(400)}{}]}`
    expect(() => parseJsonText(many, 400)).toThrow('at most 400 values and names')
    expect(parseObject(many, 400)).toBeUndefined()
    expect(parseObject(many)).toHaveProperty('a')
    expect(parseObject(`{"a":[${'[],'.repeat(1 << 20)}[]]}`)).toBeUndefined()
    expect(parseObject('[]')).toBeUndefined()
    // Longer than it has marks.
    expect(parseJsonText(`"${'a,'.repeat(400)}"`, 1)).toHaveLength(800)
  })
})
