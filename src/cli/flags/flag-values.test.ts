import { describe, expect, test } from 'vitest'
import { decimalNumber, wholeNumber, wholeNumbers } from './flag-values.ts'

describe('whole numbers', () => {
  const parse = wholeNumber({ min: 1, max: 100 })

  test.each([
    ['1', 1],
    ['+7', 7],
    ['100', 100],
  ])('%s is read', (text, value) => expect(parse(text)).toBe(value))

  test.each(['12abc', '', ' ', '1.5', '1e2', '0x10', '0', '101', '-1', 'NaN', 'Infinity', '１'])(
    '"%s" is refused with the range',
    (text) => expect(() => parse(text)).toThrow('Expected a whole number >= 1 and <= 100.'),
  )

  test('beyond 2^53 nothing is exact, so it is refused', () => {
    expect(() => wholeNumber({ min: 0 })('9007199254740993')).toThrow('>= 0')
  })
})

describe('lists of whole numbers', () => {
  const parse = wholeNumbers({ min: 1 })

  test('have commas between, and a repeated flag adds to them', () => {
    expect(parse('1,8', parse('64'))).toEqual([64, 1, 8])
  })

  test.each(['', '1,', ',1', '1;2', '1, 2', '1,0'])('"%s" is refused', (text) => {
    expect(() => parse(text)).toThrow('Expected a whole number >= 1.')
  })
})

describe('decimal numbers', () => {
  const parse = decimalNumber({ above: 0, max: 1 })

  test.each([
    ['0.5', 0.5],
    ['.25', 0.25],
    ['1', 1],
    ['1e-3', 0.001],
  ])('%s is read', (text, value) => expect(parse(text)).toBe(value))

  test.each(['0', '1.01', '0.5x', '', '.', 'nan', '1e999', '0,5'])(
    '"%s" is refused with the range',
    (text) => expect(() => parse(text)).toThrow('Expected a number > 0 and <= 1.'),
  )

  test('without bounds the message names none', () => {
    expect(decimalNumber({})('-2.5')).toBe(-2.5)
    expect(() => decimalNumber({})('x')).toThrow('Expected a number.')
  })
})
