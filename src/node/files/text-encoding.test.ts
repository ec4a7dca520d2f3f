/**
 * Encodings that texts of other people come in: read where it is certain which one it is, else refused by
 * its name.
 */
import { describe, expect, test } from 'vitest'
import { FormatError } from '../../errors.ts'
import { decodeLines, decodePieces, decodeText } from './text-encoding.ts'

const JAPANESE = 'こんにちは。今日は良い天気です。\r\n'
const utf16 = (text: string): Buffer => Buffer.from(text, 'utf16le')
const bytes = (...values: number[]): Buffer => Buffer.from(values)
/** こんにちは */
const SHIFT_JIS = bytes(0x82, 0xb1, 0x82, 0xf1, 0x82, 0xc9, 0x82, 0xbf, 0x82, 0xcd)
const EUC_JP = bytes(0xa4, 0xb3, 0xa4, 0xf3, 0xa4, 0xcb, 0xa4, 0xc1, 0xa4, 0xcf)

describe('a text is read', () => {
  test.each([
    ['in UTF-8', Buffer.from(JAPANESE)],
    ['in UTF-8 with a byte-order mark', Buffer.from(`\ufeff${JAPANESE}`)],
    ['in UTF-16LE with its mark', utf16(`\ufeff${JAPANESE}`)],
    ['in UTF-16BE with its mark', utf16(`\ufeff${JAPANESE}`).swap16()],
  ])('%s', (_, given) => expect(decodeText(given, 'f')).toBe(JAPANESE))

  test('that is empty, or that has the replacement character itself', () => {
    expect(decodeText(bytes(), 'f')).toBe('')
    expect(decodeText(Buffer.from('a\ufffdb'), 'f')).toBe('a\ufffdb')
  })
})

describe('a text is refused with the name of what it is', () => {
  test.each([
    ['Shift_JIS', SHIFT_JIS],
    ['EUC-JP', EUC_JP],
    ['ISO-2022-JP', Buffer.from('\u001b$B$3$s$K$A$O\u001b(B')],
    ['UTF-16LE without', utf16('hello world')],
    ['UTF-16LE without', utf16(JAPANESE)],
    ['UTF-16BE without', utf16(JAPANESE).swap16()],
    ['damaged UTF-16LE', Buffer.concat([utf16('\ufeffab'), bytes(1)])],
    ['UTF-32LE', bytes(0xff, 0xfe, 0, 0, 0x41, 0, 0, 0)],
    ['Windows-1252', Buffer.from('café déjà vu', 'latin1')],
    ['binary data', bytes(0x89, 0x50, 0x4e, 0x47, 13, 10, 26, 10, 0, 0, 0, 13, 73, 72, 68, 82)],
  ])('%s', (name, given) => {
    expect(() => decodeText(given, 'notes.txt')).toThrow(FormatError)
    expect(() => decodeText(given, 'notes.txt')).toThrow(/^Expected UTF-8 in notes\.txt, got /)
    expect(() => decodeText(given, 'notes.txt')).toThrow(name)
  })

  test.each([
    [
      'in the middle',
      Buffer.concat([Buffer.from('あ\nい'), bytes(0xe3, 0x81), Buffer.from('xう')]),
    ],
    ['at the end', Buffer.from('あ\nいう').subarray(0, -1)],
  ])('damaged UTF-8 %s, with line and byte', (_, given) => {
    expect(() => decodeText(given, 'f')).toThrow(/line 2 of f, got damaged UTF-8 \(byte 8\)/)
  })

  test('damage after megabytes is found at its place', () => {
    const given = Buffer.concat([Buffer.from('あ'.repeat(100_000)), bytes(0xff), Buffer.from('い')])
    expect(() => decodeText(given, 'f')).toThrow('(byte 300001)')
  })
})

describe('lines', () => {
  test('keep their numbers, without blank ones and line ends', () => {
    const lines = decodeLines(Buffer.from('\ufeffone\r\n\n \nfour'), 'f')
    expect(lines).toEqual([
      { number: 1, text: 'one' },
      { number: 4, text: 'four' },
    ])
  })

  test.each([
    ['damaged', Buffer.concat([Buffer.from('い'), bytes(0xe3), Buffer.from('x')]), 'damaged UTF-8'],
    ['in Shift_JIS', SHIFT_JIS, 'Shift_JIS'],
  ])('that are %s cost themselves alone', (_, line, name) => {
    const given = [Buffer.from('first\n'), line, Buffer.from('\nthird 三\n')]
    const lines = decodeLines(Buffer.concat(given), 'f')
    expect(lines.map(({ number }) => number)).toEqual([1, 2, 3])
    expect(lines[1].error?.message).toMatch(new RegExp(`line 2 of f, .*${name}`))
    expect(lines.filter(({ error }) => error === undefined).map(({ text }) => text)).toEqual([
      'first',
      'third 三',
    ])
  })

  test('of a file in another encoding are refused together', () => {
    expect(() => decodeLines(Buffer.concat([SHIFT_JIS, bytes(10), SHIFT_JIS]), 'f')).toThrow(
      'Expected UTF-8 in f, got what seems to be Shift_JIS',
    )
    expect(() => decodeLines(utf16('a\nb'), 'f')).toThrow('UTF-16LE')
    // A line of ASCII does not make another file of it, nor is each of its lines looked into.
    const lines = Buffer.concat(Array(100_000).fill(Buffer.concat([SHIFT_JIS, bytes(10)])))
    const began = performance.now()
    expect(() => decodeLines(Buffer.concat([Buffer.from('ok\n'), lines]), 'f')).toThrow(
      'Expected UTF-8 in f, got what seems to be Shift_JIS',
    )
    // 60 ms on a quiet machine; 4 s with all of them looked into.
    expect(performance.now() - began).toBeLessThan(2000)
  })
})

describe('a stream, in pieces of any length', () => {
  /** More than is looked at to tell the encoding. */
  const LONG = `${JAPANESE}Ünïcödé 😀\n`.repeat(3000)
  async function textOf(given: Uint8Array, step: number): Promise<string> {
    async function* pieces() {
      for (let at = 0; at < given.length; at += step) yield given.subarray(at, at + step)
    }
    let text = ''
    for await (const piece of decodePieces(pieces(), 'f')) text += piece
    return text
  }

  test.each([
    ['UTF-8', (text: string) => Buffer.from(text)],
    ['UTF-8 with a byte-order mark', (text: string) => Buffer.from(`\ufeff${text}`)],
    ['UTF-16LE with its mark', (text: string) => utf16(`\ufeff${text}`)],
    ['UTF-16BE with its mark', (text: string) => utf16(`\ufeff${text}`).swap16()],
  ])('is read in %s', async (_, encode) => {
    const long = encode(LONG)
    for (const step of [997, 1 << 16, long.length]) expect(await textOf(long, step)).toBe(LONG)
    // Less than a character at a time.
    for (const step of [1, 2, 3]) expect(await textOf(encode('あ😀é'), step)).toBe('あ😀é')
    expect(await textOf(encode(''), 1)).toBe('')
  })

  test.each([
    ['Shift_JIS', SHIFT_JIS],
    ['EUC-JP', EUC_JP],
    ['ISO-2022-JP', Buffer.from('\u001b$B$3$s$K$A$O\u001b(B')],
    ['UTF-16LE without', utf16('hello world')],
    ['damaged UTF-16LE', Buffer.concat([utf16('\ufeffab'), bytes(1)])],
    ['UTF-32LE', bytes(0xff, 0xfe, 0, 0, 0x41, 0, 0, 0)],
    ['binary data', bytes(0x89, 0x50, 0x4e, 0x47, 13, 10, 26, 10, 0, 0, 0, 13, 73, 72, 68, 82)],
  ])('is refused as %s', async (name, given) => {
    for (const step of [1, 5, given.length]) {
      await expect(textOf(given, step)).rejects.toThrow(name)
    }
  })

  test('with damage far behind its beginning tells the byte', async () => {
    const start = Buffer.from('あ'.repeat(100_000))
    const given = Buffer.concat([start, bytes(0xff), Buffer.from('い')])
    for (const step of [1000, 65_537, given.length]) {
      await expect(textOf(given, step)).rejects.toThrow('damaged UTF-8 (byte 300001)')
    }
    const cut = start.subarray(0, -1)
    await expect(textOf(cut, 70_000)).rejects.toThrow('damaged UTF-8 (byte 299998)')
  })
})
