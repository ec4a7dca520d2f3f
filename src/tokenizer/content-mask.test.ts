import { expect, test } from 'vitest'
import { UsageError } from '../errors.ts'
import { contentMask, unusedCharacters } from './content-mask.ts'

const SPECIALS = ['<|eot_id|>', '<|end|>', '<s>', '</s>', '<s><s>', 'aXa']
const MASK = '\ue000'
const mask = contentMask(SPECIALS)

test('a message without anything like a special token is not touched', () => {
  for (const text of ['', '  ', 'Hello, world.', ' こんにちは\n', '1 < 2 and 3 > 2 too']) {
    expect(mask(text, MASK)).toBe(text)
  }
})

test('a special spelling is broken, whatever its case, and the rest stays', () => {
  expect(mask('hi <|eot_id|> there', MASK)).toBe(`hi <${MASK}|eot_id|> there`)
  expect(mask('hi <|EOT_ID|> there', MASK)).toBe(`hi <${MASK}|EOT_ID|> there`)
})

test('white space around a message stays outside the mask, so that templates can trim it', () => {
  expect(mask('  hi <|eot_id|\n', MASK)).toBe(`  hi <|eot_id|${MASK}\n`)
  expect(mask(' s> hi ', MASK)).toBe(` ${MASK}s> hi `)
})

/** Special spellings in a text that share at least one character with [from, to). */
const spellingsWithin = (text: string, from: number, to: number) =>
  SPECIALS.filter((spelling) => {
    const first = Math.max(0, from - spelling.length + 1)
    const at = text.indexOf(spelling, first)
    return at >= 0 && at < to
  })

test('no template text around a message, and no neighbour, can complete a special token', () => {
  // All ways to cut special spellings in three, with the middle as the message.
  for (const special of SPECIALS) {
    for (let from = 0; from <= special.length; from++) {
      for (let to = from; to <= special.length; to++) {
        const message = special.slice(from, to)
        if (message === '') continue
        const masked = mask(message, MASK)
        const text = special.slice(0, from) + masked + special.slice(to)
        expect(spellingsWithin(text, from, from + masked.length)).toEqual([])
      }
    }
  }
})

test('random messages built of pieces of special tokens never hold one', () => {
  const scraps = ['<|eot', '_id|>', '<|', 'end', '|>', '<s', '>', '<', '/s>', 'aX', 'a', ' ', 'x']
  let seed = 7
  for (let round = 0; round < 2000; round++) {
    let message = ''
    for (let i = 0; i < 1 + (round % 8); i++) {
      seed = (seed * 1103515245 + 12345) % 2 ** 31
      message += scraps[(seed >> 16) % scraps.length]
    }
    const masked = mask(message, MASK)
    expect(masked.replaceAll(MASK, '')).toBe(message)
    expect(SPECIALS.filter((special) => masked.includes(special))).toEqual([])
  }
})

test('the mask is a character that no text uses', () => {
  expect(unusedCharacters(['a\ue000b', '\ue002'], 2)).toEqual(['\ue001', '\ue003'])
})

test('texts that use all private characters are refused', () => {
  const all: string[] = []
  for (let code = 0xe000; code <= 0xf8ff; code++) all.push(String.fromCodePoint(code))
  expect(unusedCharacters(all, 1)).toEqual(['\u{f0000}'])
  for (let code = 0xf0000; code <= 0xffffd; code++) all.push(String.fromCodePoint(code))
  expect(() => unusedCharacters([all.join('')], 1)).toThrow(UsageError)
})
