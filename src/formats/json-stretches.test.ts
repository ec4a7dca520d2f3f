/** Long JSON is parsed in steps, to what JSON.parse makes of it at once. */
import { expect, test } from 'vitest'
import { Seeded } from '../kernels/testing/conformance-cases.ts'
import { parseStretches } from './json-stretches.ts'

const encoder = new TextEncoder()

function parse(text: string): { value: unknown; turns: number } {
  const steps = parseStretches(encoder.encode(text))
  for (let turns = 0; ; turns++) {
    const { done, value } = steps.next()
    if (done === true) return { value, turns }
  }
}

const seeded = new Seeded(11)
const pick = <T>(list: readonly T[]): T => list[seeded.below(list.length)]
const space = () => pick(['', '', '', ' ', '\n', ' \t\r\n'])
const NAMES = ['"a"', '"7"', '"__proto__"', '"\\u005f_proto__"', '"ü\\"}"', '"]\\\\"', '""', '"🙂"']
const LEAVES = [...NAMES, '0', '-1.5e3', 'true', 'null', '[]', '{}', '[1, {"b": [2]}]']

/** A list or an object of at least so many characters. */
function grow(length: number, depth: number): string {
  const isList = seeded.below(2) === 0
  const members: string[] = []
  for (let sum = 0; sum < length; ) {
    const isDeep = depth > 0 && seeded.below(length < 1 << 18 ? 1000 : 5000) === 0
    const value = isDeep ? grow(length / 2, depth - 1) : pick(LEAVES)
    const name = seeded.below(3) === 0 ? pick(NAMES) : `"n${seeded.below(1 << 20)}"`
    const member = `${space()}${isList ? '' : `${name}${space()}:${space()}`}${value}${space()}`
    members.push(member)
    sum += member.length + 1
  }
  return `${space()}${isList ? '[' : '{'}${members.join(',')}${isList ? ']' : '}'}${space()}`
}

test('random values of up to some megabytes come out as they do at once, names in their order', () => {
  let most = 0
  for (let i = 0; i < 12; i++) {
    const text = grow(1 << (16 + (i % 5)), 5)
    const { value, turns } = parse(text)
    most = Math.max(most, turns)
    // Text against text: names in order, and "__proto__" among them.
    expect(JSON.stringify(value) === JSON.stringify(JSON.parse(text))).toBe(true)
  }
  expect(most).toBeGreaterThan(4)
})

test('random damage is refused, or read, just as it is at once', () => {
  const whole = grow(1 << 19, 3)
  const counts = { read: 0, refused: 0 }
  for (let i = 0; i < 60; i++) {
    const at = seeded.below(whole.length)
    const piece = pick([',', '[', ']', '{', '}', '"', ':', '', ' ', '\\', '\ufeff', '1', ',,'])
    const text = whole.slice(0, at) + piece + whole.slice(at + seeded.below(3))
    let expected: string | undefined
    try {
      expected = JSON.stringify(JSON.parse(text))
    } catch {
      counts.refused++
      expect(() => parse(text)).toThrow()
      continue
    }
    counts.read++
    expect(JSON.stringify(parse(text).value) === expected).toBe(true)
  }
  expect(counts.read).toBeGreaterThan(5)
  expect(counts.refused).toBeGreaterThan(5)
})

const LONG = `${'1,'.repeat(1 << 18)}1`

test.each([
  ['nothing between two commas', `[${LONG},,${LONG}]`],
  ['a comma at the end', `[${LONG},]`],
  ['a comma at the start', `[,${LONG}]`],
  ['an end of another kind', `[${LONG}}`],
  ['no end', `[${LONG}`],
  ['an end too many', `[${LONG}],1]`],
  ['a list without its name', `{"a":1,[${LONG}]}`],
  ['a name that is none', `{"a":1,b":[${LONG}]}`],
  ['a name without a colon', `{"a":1,"b"[${LONG}]}`],
  ['two values for one name', `{"a":1,"b":2[${LONG}]}`],
  ['a mark in the midst', `[${LONG},\ufeff${LONG}]`],
])('%s is refused', (_, text) => {
  expect(() => JSON.parse(text)).toThrow()
  expect(() => parse(text)).toThrow()
})
