/**
 * The line editor as a person sees it: keys go in, and a terminal shows what comes out.
 */
import { PassThrough } from 'node:stream'
import { describe, expect, test } from 'vitest'
import { Screen } from '../../../../test/support/screen.ts'
import { LineEditor, type LineEditorOptions } from './line-editor.ts'

const LEFT = '\u001b[D'
const RIGHT = '\u001b[C'
const UP = '\u001b[A'
const DOWN = '\u001b[B'
const HOME = '\u001b[H'
const END = '\u001b[F'
const DELETE = '\u001b[3~'
const BACKSPACE = '\u007f'

const paste = (text: string): string => `\u001b[200~${text}\u001b[201~`

class Terminal {
  readonly screen: Screen
  readonly input = Object.assign(new PassThrough(), {
    isTTY: true,
    isRaw: false,
    setRawMode(isRaw: boolean) {
      this.isRaw = isRaw
    },
  })
  readonly output: PassThrough & { isTTY: true; columns: number; rows: number }
  readonly editor: LineEditor
  readonly messages: (string | undefined)[] = []
  interrupts = 0

  constructor(columns: number, rows = 24, options: Partial<LineEditorOptions> = {}) {
    this.screen = new Screen(columns, rows)
    this.output = Object.assign(new PassThrough(), { isTTY: true as const, columns, rows })
    this.editor = new LineEditor({
      input: this.input,
      output: this.output,
      prompt: '> ',
      history: [],
      leaveHint: 'Again to leave.',
      onInterrupt: () => {
        this.interrupts++
      },
      ...options,
    })
    this.editor.open()
  }

  /** Begins to read a message. */
  read(): void {
    this.editor.read().then((message) => this.messages.push(message))
  }

  /** Each text comes as a chunk of its own. */
  async type(...chunks: (string | Uint8Array)[]): Promise<void> {
    for (const chunk of chunks) this.input.emit('data', Buffer.from(chunk))
    await this.shown()
  }

  async shown(): Promise<void> {
    await new Promise(setImmediate)
    const written: Buffer | null = this.output.read()
    if (written !== null) await this.screen.write(written)
  }

  async resize(columns: number, rows: number): Promise<void> {
    this.screen.resize(columns, rows)
    Object.assign(this.output, { columns, rows }).emit('resize')
    await this.shown()
  }
}

async function reading(
  columns = 40,
  rows?: number,
  options?: Partial<LineEditorOptions>,
): Promise<Terminal> {
  const terminal = new Terminal(columns, rows, options)
  terminal.read()
  await terminal.shown()
  return terminal
}

const LONG =
  '吾輩は猫である。名前はまだ無い。どこで生れたかとんと見当がつかぬ。何でも薄暗いじめじめした所で' +
  'ニャーニャー泣いていた事だけは記憶している。'

describe.each([40, 80])('at %i columns', (columns) => {
  test.each([
    ['committed at once', [LONG]],
    ['committed in pieces', LONG.match(/.{1,7}/gsu) as string[]],
    ['whose bytes come one by one', [...Buffer.from(LONG)].map((byte) => Uint8Array.of(byte))],
  ])('Japanese text of several rows, %s, is shown and read as it is', async (_, chunks) => {
    const terminal = await reading(columns)
    await terminal.type(...chunks)
    expect(terminal.screen.rows.join('')).toBe(`> ${LONG}`)
    await terminal.type('\r')
    expect(terminal.messages).toEqual([LONG])
    expect(terminal.screen.rows.join('')).toBe(`> ${LONG}`)
  })

  test('what is typed in the middle goes there, whatever the chunks', async () => {
    const terminal = await reading(columns)
    await terminal.type(LONG, HOME, RIGHT, RIGHT, 'にゃんと', 'abc')
    const expected = `吾輩にゃんとabc${LONG.slice(2)}`
    expect(terminal.screen.rows.join('')).toBe(`> ${expected}`)
    expect(terminal.screen.cursor.column).toBe(2 + 4 + 8 + 3)
    await terminal.type(BACKSPACE, BACKSPACE, BACKSPACE, DELETE, '\r')
    expect(terminal.messages).toEqual([`吾輩にゃんと${LONG.slice(3)}`])
  })

  test('a row that is exactly full is followed by one for the cursor', async () => {
    const terminal = await reading(columns)
    const text = 'a'.repeat(columns - 2)
    await terminal.type(text)
    expect(terminal.screen.cursor).toEqual({ column: 0, row: '' })
    await terminal.type('b')
    expect(terminal.screen.rows).toEqual([`> ${text}`, 'b'])
    await terminal.type(BACKSPACE, BACKSPACE)
    expect(terminal.screen.rows).toEqual([`> ${text.slice(1)}`])
    expect(terminal.screen.cursor.column).toBe(columns - 1)
    await terminal.type('日')
    expect(terminal.screen.rows).toEqual([`> ${text.slice(1)}`, '日'])
  })

  test('Up and Down go through the rows, and beyond them through the history', async () => {
    const terminal = await reading(columns, 24, { history: ['one', 'two'] })
    await terminal.type('x'.repeat(columns + 5), UP, '!')
    expect(terminal.screen.rows.join('')).toBe(`> xxxxx!${'x'.repeat(columns)}`)
    await terminal.type(UP, UP)
    expect(terminal.screen.rows).toEqual(['> one'])
    await terminal.type(DOWN)
    expect(terminal.screen.rows).toEqual(['> two'])
    await terminal.type(DOWN)
    expect(terminal.screen.rows.join('')).toBe(`> xxxxx!${'x'.repeat(columns)}`)
    await terminal.type(UP, UP, '\r')
    expect(terminal.messages).toEqual(['two'])
  })
})

describe('a character', () => {
  test.each([
    ['an emoji of several people', '👨‍👩‍👧'],
    ['a flag', '🇯🇵'],
    ['an emoji with a tone of skin', '👍🏽'],
    ['an emoji with its presentation', '❤️'],
    ['a keycap', '1️⃣'],
    ['a letter with a combining mark', 'e\u0301'],
    ['a kana with a combining mark', 'か\u3099'],
    ['a kanji beyond the first plane', '𠮷'],
    ['a syllable of three jamo', '\u1112\u1161\u11ab'],
  ])('is one step and one deletion: %s', async (_, character) => {
    const terminal = await reading()
    await terminal.type(`あ${character}い`, LEFT, LEFT)
    expect(terminal.screen.cursor.column).toBe(4)
    await terminal.type('x', RIGHT, BACKSPACE)
    expect(terminal.screen.rows).toEqual(['> あxい'])
    await terminal.type('\r')
    expect(terminal.messages).toEqual(['あxい'])
  })

  test('is one although its parts come one by one', async () => {
    const terminal = await reading()
    await terminal.type(...Array.from('👨‍👩‍👧'), LEFT, 'a', END, 'e', '\u0301', BACKSPACE, '\r')
    expect(terminal.messages).toEqual(['a👨‍👩‍👧'])
  })

  test('that a mark joins to the next one leaves the cursor between characters', async () => {
    const terminal = await reading()
    await terminal.type('\u0301x', HOME, 'e', 'y', '\r')
    expect(terminal.messages).toEqual(['e\u0301yx'])
  })

  test.each(['\u0000', '\u0007', '\u001b]0;title\u0007', '\u009b31m', '\u202e'])(
    'that would do something to the terminal is no text: %j',
    async (control) => {
      const terminal = await reading()
      await terminal.type(paste(`a${control}b`), '\r')
      expect(terminal.messages[0]).toMatch(/^a[\]0;title31m]*b$/)
    },
  )
})

describe('editing', () => {
  test.each([
    ['words of Japanese', '東京都に行きます', ['\u0017', '\u0017'], /^東京都に(行き)?$/],
    ['words of English', 'one two  three', ['\u0017', '\u0017'], /^one $/],
    ['to the beginning', 'one two', ['\u001bb', '\u0015'], /^two$/],
    ['to the end', 'one two', ['\u001bb', '\u000b'], /^one $/],
    ['and put back', 'one two', ['\u0017', HOME, '\u0019'], /^twoone $/],
    ['the next word', 'one two', [HOME, '\u001bd'], /^ two$/],
    [
      'by words, there and back',
      'one two',
      ['\u001b[1;5D', '\u001b[1;5D', '\u001b[1;5C', 'x'],
      /^onex two$/,
    ],
  ])('deletes %s', async (_, text, keys, expected) => {
    const terminal = await reading()
    await terminal.type(text, ...keys, '\r')
    expect(terminal.messages[0]).toMatch(expected)
  })

  test('takes sequences that are cut anywhere, and Esc alone for nothing', async () => {
    const terminal = await reading()
    await terminal.type('ab', '\u001b', '[', 'D', 'x', '\u001b[1;', '5D', 'y')
    expect(terminal.screen.rows).toEqual(['> yaxb'])
    await terminal.type('\u001b')
    await new Promise((wake) => setTimeout(wake, 200))
    await terminal.type('[', '\u001b[99;99~', '\u001bOP', '\r')
    expect(terminal.messages).toEqual(['y[axb'])
  })

  test('keeps to a text with more rows than the screen, around the cursor', async () => {
    const terminal = await reading(20, 5)
    const lines = Array.from({ length: 12 }, (_, i) => `line ${i}`)
    await terminal.screen.write('above\r\n')
    await terminal.type(paste(lines.join('\n')))
    expect(terminal.screen.rows.slice(-5)).toEqual(lines.slice(-5).map((line) => `  ${line}`))
    await terminal.type(...Array.from({ length: 8 }, () => UP), HOME, 'X')
    expect(terminal.screen.rows.slice(-5)).toContain('  Xline 3')
    expect(terminal.screen.cursor.row).toBe('  Xline 3')
    await terminal.type('\r')
    expect(terminal.messages[0]).toBe(lines.join('\n').replace('line 3', 'Xline 3'))
    expect(terminal.screen.rows.slice(-12)).toEqual([
      '> line 0',
      ...lines.slice(1).map((line) => `  ${line.replace('line 3', 'Xline 3')}`),
    ])
  })

  test('draws anew where the terminal gets another width, below what was there', async () => {
    const terminal = new Terminal(60, 10)
    await terminal.screen.write('an answer\r\n')
    terminal.read()
    const text = 'abcde '.repeat(15)
    await terminal.type(text)
    await terminal.resize(30, 10)
    await terminal.type('!')
    expect(terminal.screen.rows[0]).toBe('an answer')
    expect(terminal.screen.text.replace(/\n/g, '')).toContain('abcde !')
    await terminal.resize(80, 10)
    await terminal.type('\r')
    expect(terminal.screen.rows[0]).toBe('an answer')
    expect(terminal.messages).toEqual([`${text}!`])
  })
})

describe('a message of several lines', () => {
  test('is what is pasted, whatever its line ends and wherever it is cut', async () => {
    const terminal = await reading()
    const text = paste('one\r\ntwo\rthree\n')
    await terminal.type('Say: ', ...(text.match(/.{1,3}/gs) as string[]))
    expect(terminal.screen.rows).toEqual(['> Say: one', '  two', '  three'])
    expect(terminal.messages).toEqual([])
    await terminal.type('!', '\r')
    expect(terminal.messages).toEqual(['Say: one\ntwo\nthree\n!'])
  })

  test('has lines that Alt and Enter begin', async () => {
    const terminal = await reading()
    await terminal.type('a', '\u001b\r', 'b', '\u001b[13;2u', 'c', HOME, BACKSPACE, '\r')
    expect(terminal.messages).toEqual(['a\nbc'])
  })

  test('goes on where it is not finished', async () => {
    const terminal = await reading(40, 24, { isUnfinished: (text) => !text.endsWith('.') })
    await terminal.type('a\rb\r')
    expect(terminal.messages).toEqual([])
    await terminal.type('.\r')
    expect(terminal.messages).toEqual(['a\nb\n.'])
  })

  test('comes back from the history as one', async () => {
    const history = ['first', 'a\nb\nc']
    const terminal = await reading(40, 24, { history })
    await terminal.type(UP)
    expect(terminal.screen.rows).toEqual(['> a', '  b', '  c'])
    await terminal.type(UP, UP, UP)
    expect(terminal.screen.rows).toEqual(['> first'])
    await terminal.type('\r')
    expect(history).toEqual(['first', 'a\nb\nc', 'first'])
  })
})

describe('leaving', () => {
  test('Ctrl-C clears the line and says how; a second one leaves', async () => {
    const terminal = await reading()
    await terminal.type('half a th', '\u0003')
    expect(terminal.screen.rows).toEqual(['> half a th^C', 'Again to leave.', '>'])
    expect(terminal.messages).toEqual([])
    await terminal.type('\u0003')
    expect(terminal.messages).toEqual([undefined])
  })

  test.each([
    ['Ctrl-C once more leaves.', ['Ctrl-C once more', 'leaves.']],
    ['もう一度で終わります。', ['もう一度で終わりま', 'す。']],
  ])('how is said in words that are whole: %s', async (leaveHint, lines) => {
    const terminal = await reading(20, 24, { leaveHint })
    await terminal.type('\u0003')
    expect(terminal.screen.rows).toEqual(['> ^C', ...lines, '>'])
  })

  test('what is typed in between takes the first one back', async () => {
    const terminal = await reading()
    await terminal.type('\u0003', 'hm', '\u0003')
    expect(terminal.messages).toEqual([])
    await terminal.type('still here\r')
    expect(terminal.messages).toEqual(['still here'])
  })

  test('Ctrl-D deletes, and leaves where there is nothing to delete', async () => {
    const terminal = await reading()
    await terminal.type('ab', HOME, '\u0004', '\u0004')
    expect(terminal.messages).toEqual([])
    await terminal.type('\u0004')
    expect(terminal.messages).toEqual([undefined])
  })

  test('the terminal is as it was before, and a closed one ends the reading', async () => {
    const terminal = await reading()
    expect(terminal.input.isRaw).toBe(true)
    expect(terminal.screen.marksPastes).toBe(true)
    terminal.editor.close()
    await terminal.shown()
    expect(terminal.messages).toEqual([undefined])
    expect(terminal.input.isRaw).toBe(false)
    expect(terminal.screen.marksPastes).toBe(false)
    const other = await reading()
    other.input.emit('end')
    await other.shown()
    expect(other.messages).toEqual([undefined])
    expect(await other.editor.read()).toBeUndefined()
  })
})

describe('while nobody reads', () => {
  test('what is typed is not shown, and waits for the next reading', async () => {
    const terminal = new Terminal(40)
    await terminal.type('typed ahead', '\r', 'and half')
    expect(terminal.screen.rows).toEqual([])
    terminal.read()
    await terminal.shown()
    expect(terminal.messages).toEqual(['typed ahead'])
    terminal.read()
    await terminal.shown()
    expect(terminal.screen.rows).toEqual(['> typed ahead', '> and half'])
    await terminal.type(' more\r')
    expect(terminal.messages[1]).toBe('and half more')
  })

  test('Ctrl-C is told, and takes away what waits', async () => {
    const terminal = new Terminal(40)
    await terminal.type('never mind\r', '\u0003')
    expect(terminal.interrupts).toBe(1)
    terminal.read()
    await terminal.shown()
    expect(terminal.messages).toEqual([])
    expect(terminal.screen.rows).toEqual(['>'])
  })
})

describe('Tab', () => {
  const words = ['/save', '/set', '/system']
  const complete = (text: string) => ({ from: 0, words: text.startsWith('/') ? words : [] })

  test('completes what is sure, then shows what may follow', async () => {
    const terminal = await reading(40, 24, { complete })
    await terminal.type('/', '\t')
    expect(terminal.screen.rows).toEqual(['> /s'])
    await terminal.type('\t')
    expect(terminal.screen.rows).toEqual(['> /s', '/save  /set  /system', '> /s'])
    await terminal.type('y', '\t', 'x', '\t')
    expect(terminal.screen.rows.at(-1)).toBe('> /system x')
  })

  test('does nothing elsewhere', async () => {
    const terminal = await reading(40, 24, { complete })
    await terminal.type('a', '\t', LEFT, '\t', '\r')
    expect(terminal.messages).toEqual(['a'])
  })
})
