import { expect, test } from 'vitest'
import { finish } from '../steps.ts'
import { AddedTokens } from './added-tokens.ts'

const tokens = new AddedTokens([
  { id: 1, content: '<|end|>', special: true },
  { id: 2, content: '<|end|><|end|>', special: true },
  { id: 3, content: '<tag>', special: false },
  { id: 4, content: '<strip>', special: true, lstrip: true, rstrip: true },
  { id: 5, content: '!', special: true },
])

/** Ids and texts in their order. */
const split = (text: string, parseSpecial: boolean) =>
  finish(tokens.split(text, parseSpecial)).map((s) => (s.kind === 'token' ? s.id : s.text))

test('special tokens are found on request only, others always', () => {
  expect(split('a<|end|>b<tag>c', true)).toEqual(['a', 1, 'b', 3, 'c'])
  expect(split('a<|end|>b<tag>c', false)).toEqual(['a<|end|>b', 3, 'c'])
})

test('of several tokens at one place the longest is found', () => {
  expect(split('<|end|><|end|><|end|>', true)).toEqual([2, 1])
})

test('a token that takes white space along shortens its neighbours', () => {
  expect(split('a \n<strip>  b', true)).toEqual(['a', 4, 'b'])
  expect(split(' <strip> ', true)).toEqual([4])
})

test('a special token of one character is known by its id but not found in a text', () => {
  expect(split('wow!', true)).toEqual(['wow!'])
  expect(tokens.isSpecial(5)).toBe(true)
  expect(tokens.isSpecial(3)).toBe(false)
})

test('an empty text has no sections', () => {
  expect(split('', true)).toEqual([])
  expect(finish(new AddedTokens([]).split('', true))).toEqual([])
})

test('of white space that takes more along there is one token for all', () => {
  const spaces = { id: 1, content: '\n\n', special: false }
  const both = new AddedTokens([{ ...spaces, lstrip: true, rstrip: true }])
  expect(finish(both.split('a\n\n\n\n\nb', false))).toHaveLength(3)
  const behind = new AddedTokens([{ ...spaces, rstrip: true }])
  expect(finish(behind.split('a\n\n\n\n\nb', false))).toHaveLength(4)
})

test('tokens of normal text are looked for behind all others, also where nothing is normalized', () => {
  const found = finish(
    new AddedTokens([
      { id: 1, content: 'abc', special: false, normalized: true, singleWord: true },
      { id: 2, content: 'ab', special: false },
    ]).split('abcd', false),
  )
  expect(found).toMatchObject([{ id: 2 }, { text: 'cd' }])
})
