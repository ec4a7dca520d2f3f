import { expect, test } from 'vitest'
import { UsageError } from '../errors.ts'
import { numericTokenizer } from './numeric.ts'

const tokenizer = numericTokenizer(100)

test('numbers are ids, other text is bytes within the vocabulary', () => {
  expect(tokenizer.encode(' 1 22\n99 ')).toEqual([1, 22, 99])
  expect(tokenizer.encode('az')).toEqual([97, 22])
  expect(tokenizer.encode('')).toEqual([])
})

test('an id past the vocabulary is refused', () => {
  expect(() => tokenizer.encode('100')).toThrow(UsageError)
  expect(() => tokenizer.encode('9'.repeat(400))).toThrow(UsageError)
})

test('a stream emits what decoding gives', () => {
  const stream = tokenizer.stream()
  const text = [5, 6, 7].map((id) => stream.push(id)).join('') + stream.end()
  expect(text).toBe('5 6 7')
  expect(tokenizer.decode([5, 6, 7])).toBe(text)
})

test('there is no chat, and the description says why', () => {
  expect(() => tokenizer.encodeChat([])).toThrow(UsageError)
  expect(tokenizer.description).toContain('no vocabulary')
})

test('a vocabulary without tokens is refused', () => {
  expect(() => numericTokenizer(0)).toThrow(UsageError)
  expect(() => numericTokenizer(1.5)).toThrow(UsageError)
})
