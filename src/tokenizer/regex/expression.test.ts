/**
 * The matcher against the engine of JavaScript, on the expressions that either may run, and its bounds. What
 * it matches is compared with the Rust library in test/tokenizer-reference.test.ts.
 */
import { describe, expect, test } from 'vitest'
import { randomTexts } from '../../../test/support/random-texts.ts'
import { FormatError } from '../../errors.ts'
import { findAll } from './expression.ts'
import { QUICK_EXPRESSIONS } from './known.ts'
import { matcher } from './matcher.ts'
import { compile } from './program.ts'

test.each([...QUICK_EXPRESSIONS.keys()])(
  '%s matches alike in the engine and in the matcher',
  (known) => {
    const quick = findAll(known, 'x')
    const careful = matcher(compile(known))
    for (const text of randomTexts(5, 300)) {
      const whole = text.toWellFormed()
      expect(quick(whole), JSON.stringify(whole)).toEqual(careful(whole))
    }
  },
)

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
    expect(() => findAll(expression, 'x')(text)).not.toThrow()
  })
})

test('nothing is found in an empty text, also by what matches nothing', () => {
  expect(findAll('a*', 'x')('b')).toEqual([0, 0, 1, 1])
  expect(findAll('a*', 'x')('')).toEqual([])
})

test('an expression that takes too many steps is an error of the file', () => {
  const find = findAll('(?>\\s*)x|.', 'model.x')
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
