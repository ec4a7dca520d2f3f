/**
 * The matcher against the engine of JavaScript, on the expressions that either may run, and its bounds. What
 * it matches is compared with the Rust library in test/tokenizer-reference.test.ts.
 */
import { describe, expect, test } from 'vitest'
import { randomTexts } from '../../../test/support/random-texts.ts'
import { FormatError } from '../../errors.ts'
import { finish } from '../../steps.ts'
import { findAll, quickly } from './expression.ts'
import { QUICK_EXPRESSIONS } from './known.ts'
import { matcher } from './matcher.ts'
import { compile } from './program.ts'

test.each([...QUICK_EXPRESSIONS.keys()])(
  '%s matches alike in the engine and in the matcher',
  (known) => {
    const find = findAll(known, 'x')
    const match = matcher(compile(known))
    const quick = (text: string) => finish(find(text))
    const careful = (text: string) => finish(match(text))
    for (const text of randomTexts(5, 300)) {
      const whole = text.toWellFormed()
      expect(quick(whole), JSON.stringify(whole)).toEqual(careful(whole))
    }
  },
)

test.each([...QUICK_EXPRESSIONS])('%s matches alike in stretches and at once', (_, source) => {
  const expression = new RegExp(source, 'gu')
  const whole = quickly(expression)
  for (const text of [
    ...randomTexts(7, 60),
    'a'.repeat(100),
    '\n  \n '.repeat(40),
    '12345'.repeat(30),
  ]) {
    const once = finish(whole(text.toWellFormed()))
    for (const atOnce of [1, 2, 3, 7, 30]) {
      expect(finish(quickly(expression, atOnce)(text.toWellFormed())), `${atOnce}`).toEqual(once)
    }
  }
})

// A matcher that backtracks needs 2^10000 steps for some of these, and 10^8 for the others; the budget of a
// text of this length is 3 * 10^6.
const LENGTH = 10_000
describe.each([
  '(a|aa)+$',
  '(a+)+$',
  '(a*)*b',
  '(a|a)*b',
  '(\\w+\\s?)+$',
  '\\s*x|.',
  'a.*b|a',
  '(?:a?){50}a{50}!',
  '(?:.*,){11}P',
  '(?<=a)(a+)+b',
])('%s', (expression) => {
  test.each(['a', ' ', 'a '])('is done with a long run of "%s"', (repeated) => {
    const text = `${repeated.repeat(LENGTH / repeated.length)}!`
    expect(() => finish(findAll(expression, 'x')(text))).not.toThrow()
  })
})

test('nothing is found in an empty text, also by what matches nothing', () => {
  expect(finish(findAll('a*', 'x')('b'))).toEqual([0, 0, 1, 1])
  expect(finish(findAll('a*', 'x')(''))).toEqual([])
})

test('steps do not grow with the length of the expression without an end', () => {
  const find = findAll('(?:a{0,50}){0,50}{0,50}b', 'model.x')
  expect(() => finish(find('a'.repeat(LENGTH)))).toThrow(/too many steps/)
})

test('an expression that takes too many steps is an error of the file', () => {
  const found = findAll('(?>\\s*)x|.', 'model.x')
  const find = (text: string) => finish(found(text))
  expect(find('a x')).toEqual([0, 1, 1, 3])
  expect(() => find(' '.repeat(LENGTH))).toThrow(FormatError)
  expect(() => find(' '.repeat(LENGTH))).toThrow(/too many steps/)
})

test.each([
  '(a)\\1',
  '(?<x>a)\\g<x>',
  'a\\Kb',
  '\\X',
  '\\R',
  '(?i)ß',
  '(?i)class',
  '(?i:[^a])',
  '(?<=a+)b',
  'a{2000}',
  '(?:(?:a{1000}){1000}){1000}',
  '(?:(?:(?:){1000}){1000}){1000}',
  '('.repeat(200) + ')'.repeat(200),
  'x'.repeat(5000),
  '\\p{Nonsense}',
  '[a',
  '(?:a??)*',
  '(?:|a)+',
  'a(?i)b|c',
])('%s is refused when it is read', (expression) => {
  expect(() => findAll(expression, 'x')).toThrow(FormatError)
})
