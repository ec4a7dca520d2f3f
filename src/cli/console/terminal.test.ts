/**
 * Progress as terminals and logs get it, with a clock that the test moves.
 */
import { PassThrough } from 'node:stream'
import { describe, expect, test } from 'vitest'
import { mockSurroundings } from '../../../test/support/mock-language-model.ts'
import { UsageError } from '../../errors.ts'
import { reportFailure } from './failure.ts'
import { StatusLine, streamText, writeJson, writeLine, writeRemark } from './terminal.ts'

function progress({ isTTY }: { readonly isTTY: boolean }) {
  const stream = Object.assign(new PassThrough(), { isTTY })
  let seconds = 0
  const line = new StatusLine(stream, () => seconds * 1000)
  return {
    line,
    /** What is shown at so many seconds from the start. */
    showAt(at: number, text: string): void {
      seconds = at
      line.show(text)
    },
    written: (): string => stream.read()?.toString() ?? '',
  }
}

describe('progress in a log', () => {
  test('is a plain line every ten seconds at most, and the last state', () => {
    const { line, showAt, written } = progress({ isTTY: false })
    for (const at of [0, 1, 9.9, 10, 11, 19.9, 25, 26, 27]) showAt(at, `item ${at}`)
    line.clear()
    expect(written()).toBe('item 10\nitem 25\nitem 27\n')
  })

  test('leaves nothing of what takes less than ten seconds', () => {
    const { line, showAt, written } = progress({ isTTY: false })
    showAt(0, 'Loading')
    showAt(9, 'Running')
    line.clear()
    expect(written()).toBe('')
  })

  test('says nothing twice', () => {
    const { line, showAt, written } = progress({ isTTY: false })
    for (const at of [0, 10, 20, 30]) showAt(at, 'Waiting')
    showAt(40, 'Running')
    line.clear()
    line.clear()
    expect(written()).toBe('Running\n')
  })

  test('stops with the reader', () => {
    const stream = Object.assign(new PassThrough(), { isTTY: false })
    let now = 0
    const line = new StatusLine(stream, () => now)
    stream.end()
    now = 20_000
    line.show('Running')
    line.clear()
    expect(stream.read()).toBeNull()
  })
})

test('progress on a terminal rewrites its line and leaves it empty', () => {
  const { line, showAt, written } = progress({ isTTY: true })
  showAt(0, 'one')
  showAt(0, 'two')
  line.clear()
  expect(written()).toBe('\r\u001b[Kone\r\u001b[Ktwo\r\u001b[K')
})

test('progress on a narrow terminal stays on its line', () => {
  const stream = Object.assign(new PassThrough(), { isTTY: true, columns: 20 })
  new StatusLine(stream).show('モデルを読み込んでいます: 21.7 MB')
  expect(stream.read().toString()).toBe('\r\u001b[Kモデルを読み込んで…')
})

describe('what would steer a terminal', () => {
  /** Sets the window's title, colours, clears, turns the direction, and a C1 control. */
  const hostile = 'a\u001b]0;title\u0007b\u001b[31m\u009b2J\u202ec'

  function stream(isTTY: boolean) {
    return Object.assign(new PassThrough(), { isTTY })
  }

  async function* pieces() {
    yield hostile
  }

  test('is left out of lines, remarks, answers and progress on a terminal', async () => {
    const env = { NO_COLOR: '1' }
    const terminal = stream(true)
    await writeLine(terminal, hostile)
    await writeRemark(terminal, hostile, env)
    await streamText(pieces(), terminal)
    new StatusLine(terminal).show(hostile)
    const written = terminal.read().toString()
    const own = written.replace('\r\u001b[K', '').replaceAll('\n', '')
    expect([...own].filter((c) => /[\p{Cc}\u202e]/u.test(c))).toEqual([])
    expect(written).toMatch(/^a\]0;titleb\[31m2Jc\n/)
  })

  test('is escaped in JSON, which says the same', async () => {
    const terminal = stream(true)
    const value = { name: `${hostile}\u009b2J\u061c`, list: [hostile] }
    await writeJson(terminal, value)
    const written = terminal.read().toString()
    expect(written).not.toMatch(/[^\P{Cc}\n]|[\u061c\u202e]/u)
    expect(JSON.parse(written)).toEqual(value)
  })

  test('of line ends leaves no second line of progress behind', () => {
    const terminal = stream(true)
    new StatusLine(terminal).show('a\nb')
    expect(terminal.read().toString()).toBe('\r\u001b[Ka b')
  })

  test('stays in a pipe, where texts may be wanted whole', async () => {
    const pipe = stream(false)
    await writeLine(pipe, hostile)
    expect(pipe.read().toString()).toBe(`${hostile}\n`)
  })

  test('an error of the system without a path is a sentence too', () => {
    const mock = mockSurroundings()
    const full = Object.assign(new Error('ENOSPC: no space left on device, write'), {
      ...{ code: 'ENOSPC', syscall: 'write' },
    })
    reportFailure(full, mock)
    expect(mock.err()).toBe('bitnet: Cannot write: no space left on device.\n')
  })

  test('is left out of errors wherever they go', () => {
    const mock = mockSurroundings()
    reportFailure(new UsageError(`Expected a name, got ${hostile}.`), mock)
    expect(mock.err()).toBe('bitnet: Expected a name, got a]0;titleb[31m2Jc.\n')
  })
})
