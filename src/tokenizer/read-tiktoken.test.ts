import { expect, test } from 'vitest'
import { FormatError } from '../errors.ts'
import { finish } from '../steps.ts'
import { createTokenizer } from './create.ts'
import { readTiktoken } from './read-tiktoken.ts'

/** The 256 bytes, then some pieces, one per line with its rank. */
function file(...pieces: string[]): Uint8Array {
  const binary = [...Array.from({ length: 256 }, (_, byte) => String.fromCharCode(byte)), ...pieces]
  return new TextEncoder().encode(binary.map((piece, i) => `${btoa(piece)} ${i}\n`).join(''))
}

const open = (bytes: Uint8Array) => finish(createTokenizer(finish(readTiktoken(bytes))))

test('pieces are joined by rank and special tokens follow them', () => {
  const tokenizer = open(file('ab', 'bc', ' abc'))
  expect(tokenizer.encode('abc', { addBos: false })).toEqual([256, 99])
  expect(tokenizer.encode(' abc', { addBos: false })).toEqual([258])
  expect(tokenizer.vocabSize).toBe(259 + 256)
  expect(tokenizer.bosId).toBe(259)
  expect(tokenizer.tokenText(259 + 9)).toBe('<|eot_id|>')
  expect(tokenizer.tokenText(259 + 255)).toBe('<|reserved_special_token_248|>')
  expect(tokenizer.stopIds).toEqual([260, 259 + 8, 259 + 9])
})

test('any text comes back, in any script', () => {
  const tokenizer = open(file('ab'))
  const text = 'ab <|eot_id|> 日本語 😀\r\n\u00a0x'
  expect(tokenizer.decode(tokenizer.encode(text))).toBe(text)
  expect(tokenizer.encode(text)).not.toContain(257 + 9)
})

test('without a template there is no chat', () => {
  expect(open(file()).chatTemplate).toBeUndefined()
})

test.each([
  ['an empty file', ''],
  ['a rank out of order', 'YQ== 1\n'],
  ['a line without a rank', 'YQ==\n'],
  ['an empty piece', ' 0\n'],
  ['a piece that is not base64', '@@@ 0\n'],
  ['a giant piece', `${'YWFh'.repeat(2000)} 0\n`],
  ['a SentencePiece model', '\n\u000e\n\u0005<unk>\u0015\u0000'],
])('%s is an error', (_, text) => {
  expect(() => open(new TextEncoder().encode(text))).toThrow(FormatError)
})
