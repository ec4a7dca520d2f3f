/** Which tokens of a request are scored, by both rules, and the windows over long texts. */
import { describe, expect, test } from 'vitest'
import { BOS, ByteTokenizer } from '../../test/support/mock-engine.ts'
import { FormatError } from '../errors.ts'
import { type EncodingRules, encodeRequest, rollingWindows } from './encode-request.ts'

const tokenizer = new ByteTokenizer()
const HARNESS: EncodingRules = { tokenization: 'harness', bos: 'auto' }

function scored(context: string, continuation: string, rules = HARNESS, length = 64): string {
  const { tokens, firstTarget } = encodeRequest(tokenizer, { context, continuation }, rules, length)
  return `${tokenizer.decode(tokens.slice(0, firstTarget))}|${tokenizer.decode(tokens.slice(firstTarget))}`
}

describe('encodeRequest', () => {
  test('moves spaces at the end of the context to the continuation', () => {
    expect(scored('Answer: ', 'yes')).toBe('Answer:| yes')
  })

  test('knows white space as Python does', () => {
    // U+001C is white space there, U+FEFF is none; in JavaScript it is the other way round.
    expect(scored('Answer:\x1c', 'yes')).toBe('Answer:|\x1cyes')
    expect(scored('Answer:\ufeff', 'yes')).toBe('Answer:\ufeff|yes')
  })

  test('encodes both as one text and scores what comes after the context by itself', () => {
    const { tokens, firstTarget } = encodeRequest(
      tokenizer,
      { context: 'xa', continuation: 'bc' },
      HARNESS,
      64,
    )
    // Of "xa|bc" as one text, "x", "ab", "c", two are the context's: the harness scores "c" behind "xa".
    expect(tokens).toEqual([BOS, 120, 97, 99])
    expect(firstTarget).toBe(3)
  })

  test('scores a continuation by itself where a token spans the border and leaves nothing', () => {
    expect(scored('xa', 'b')).toBe('xa|b')
    expect(scored('a ', 'b', HARNESS)).toBe('a| b')
    const merged = encodeRequest(tokenizer, { context: 'a', continuation: 'b' }, HARNESS, 64)
    expect(merged).toEqual({ tokens: [BOS, 97, 98], firstTarget: 2 })
  })

  test('refuses a continuation without a token, by both rules', () => {
    for (const tokenization of ['harness', 'split'] as const) {
      const rules = { ...HARNESS, tokenization }
      expect(() => scored('xa', '', rules)).toThrow(FormatError)
    }
    expect(() => scored('', '')).toThrow('Expected a continuation with a token to score, got ""')
  })

  test('split strips both and encodes them apart', () => {
    expect(scored('Answer: ', ' yes', { tokenization: 'split', bos: 'auto' })).toBe('Answer:|yes')
  })

  test('puts a begin token before an empty context, and leaves it out where it must', () => {
    const first = (context: string, bos: EncodingRules['bos']) =>
      encodeRequest(tokenizer, { context, continuation: ' a' }, { ...HARNESS, bos }, 64).tokens[0]
    expect(first('', 'never')).toBe(BOS)
    expect(first('x', 'never')).toBe(120)
    expect(first('x', 'always')).toBe(BOS)
  })

  test('cuts what the context does not hold on the left', () => {
    expect(scored('0123456789', ' yes', HARNESS, 6)).toBe('789| yes')
  })

  test('scores a continuation that is longer than the context from its second token on', () => {
    expect(scored('ab', ' 0123456789', HARNESS, 6)).toBe('3|456789')
  })
})

describe('rollingWindows', () => {
  const tokens = Array.from({ length: 11 }, (_, i) => i)

  test('without overlap score every token once; the last looks back as far as it may', () => {
    expect(rollingWindows(tokens, 4, 4)).toEqual([
      { tokens: [0, 1, 2, 3, 4], firstTarget: 1 },
      { tokens: [4, 5, 6, 7, 8], firstTarget: 1 },
      { tokens: [6, 7, 8, 9, 10], firstTarget: 3 },
    ])
  })

  test('with a stride give each token more context', () => {
    const windows = rollingWindows(tokens, 4, 3)
    const targets = windows.flatMap((one) => one.tokens.slice(one.firstTarget))
    expect(targets).toEqual(tokens.slice(1))
    expect(windows.map((one) => one.tokens.length - one.firstTarget)).toEqual([4, 3, 3])
    expect(windows.every((one) => one.tokens.length <= 5)).toBe(true)
  })
})
