/**
 * The built chat in a pseudo-terminal: what a person types, and what the screen shows.
 */
import { mkdtemp, readFile, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { CHAT_TEXTS } from '../src/cli/commands/chat/chat-texts.ts'
import { DEFAULT_MAX_TOKENS } from '../src/generate/validate-options.ts'
import { buildProgram, hasEmbeddedModel, ROOT, start } from './support/built-program.ts'
import { hasPseudoTerminals, PseudoTerminal } from './support/pseudo-terminal.ts'

const MAIN = join(ROOT, 'dist', 'cli', 'main.js')
const START = join(ROOT, 'dist', 'cli', 'start.js')

let folder: string
const terminals: PseudoTerminal[] = []
beforeAll(async () => {
  await buildProgram()
  folder = await mkdtemp(join(tmpdir(), 'bitnet-terminal-'))
})
afterEach(async () => {
  await Promise.all(terminals.splice(0).map((terminal) => terminal.close()))
})
afterAll(() => rm(folder, { recursive: true, force: true }))

function open(
  script: string,
  args: readonly string[],
  { columns = 80, env = {} }: { columns?: number; env?: Record<string, string> } = {},
): PseudoTerminal {
  const terminal = new PseudoTerminal(process.execPath, [script, ...args], {
    columns,
    cwd: folder,
    env: { BITNET_IMAGE: '0', BITNET_STATE: join(folder, 'state'), ...env },
  })
  terminals.push(terminal)
  return terminal
}

const chat = (args: readonly string[], options: Parameters<typeof open>[2] = {}): PseudoTerminal =>
  open(MAIN, ['chat', '--temperature', '0', ...args], options)

/** The screen without the places where rows were broken. */
const joined = ({ screen }: PseudoTerminal): string => screen.text.replace(/\s+/g, '')

describe.skipIf(!hasPseudoTerminals() || !hasEmbeddedModel())('a chat on a terminal', () => {
  test.each([
    [40, 'en', 'Try one of these', 'answers: 1', 'QUIT'],
    [80, 'ja', '次の質問は番号で', '回答数: 1', '終了'],
  ])(
    'of %i columns, in %s: says who talks, offers questions, answers one, and leaves',
    async (columns, lang, invitation, statistics, farewell) => {
      const terminal = chat(['--lang', lang, '--max-tokens', '24'], { columns })
      await terminal.see(/\n> ?$/)
      expect(terminal.screen.text).toContain('bitnet-ja-en-58m: 5')
      expect(terminal.screen.text).toContain('/model bitnet-2b')
      expect(joined(terminal)).toMatch(/1\.2GB.*1\.5GB/)
      expect(terminal.screen.text).toContain(invitation)
      terminal.type('1\r')
      await terminal.see(/tokens\/s\n> ?$|毎秒[\d.]+トークン\n> ?$/)
      terminal.type('/stats\r')
      await terminal.see(statistics)
      terminal.type(`${farewell}\r`)
      expect(await terminal.ended).toBe(0)
      expect(terminal.screen.marksPastes).toBe(false)
    },
  )

  test('Ctrl-C stops an answer, and leaves when it is pressed twice at the prompt', async () => {
    const terminal = chat(['--lang', 'en', '-n', '1900', '--repetition-penalty', '1.3'])
    await terminal.see(/\n> ?$/)
    terminal.type('Tell me a very long story.\r')
    await terminal.see(/long story\.\n.+/)
    terminal.type('\u0003')
    await terminal.see(/\(stopped\)[\s\S]*\n> ?$|tokens\/s\n> ?$/)
    terminal.type('half a line\u0003')
    await terminal.see('half a line^C\nCtrl-C once more leaves')
    terminal.type('\u0003')
    expect(await terminal.ended).toBe(0)
  })

  test('what is typed during an answer waits for its end', async () => {
    const terminal = chat(['--lang', 'ja', '-n', '60'])
    await terminal.see(/\n> ?$/)
    // The keys come before the answer can have begun.
    terminal.type('こんにちは\rあとで入力した文\r/stats\r')
    await terminal.see('回答数: 2')
    const { text } = terminal.screen
    expect(text).toMatch(/> こんにちは\n[^>]+\n> あとで入力した文\n[^>]+\n> \/stats\n/)
  })

  test('what is pasted is one message; quotes hold several lines', async () => {
    const terminal = chat(['--lang', 'en', '-n', '4'], { columns: 40 })
    await terminal.see(/\n> ?$/)
    terminal.type('\u001b[200~first line\r\nsecond line\u001b[201~')
    await terminal.see('> first line\n  second line')
    terminal.type('\r')
    await terminal.see(/tokens?\/s\n> ?$/)
    terminal.type('"""\r一行目\r二行目"""\r')
    await terminal.see('> """\n  一行目\n  二行目"""')
    terminal.type(`/save ${join(folder, 'talk.json')}\r`)
    await terminal.see('Saved 4 messages')
    const { messages } = JSON.parse(await readFile(join(folder, 'talk.json'), 'utf8'))
    expect(messages[0].content).toBe('first line\nsecond line')
    expect(messages[2].content).toBe('一行目\n二行目')
  })

  test('lines are kept for the next time, for their owner alone, unless that is turned off', async () => {
    const env = { BITNET_STATE: join(folder, 'kept') }
    const first = chat(['--lang', 'en'], { env })
    await first.see(/\n> ?$/)
    first.type('/set temperature 0.25\r')
    await first.see('temperature is now 0.25.')
    first.type('/bye\r')
    expect(await first.ended).toBe(0)
    const path = join(folder, 'kept', 'chat-history.jsonl')
    expect((await stat(path)).mode & 0o777).toBe(0o600)
    const second = chat(['--lang', 'en'], { env })
    await second.see(/\n> ?$/)
    second.type('\u001b[A')
    await second.see(/\n> \/set temperature 0\.25$/)
    second.type('\u0003\u0003')
    await second.ended
    const third = chat(['--lang', 'en', '--no-history'], { env })
    await third.see(/\n> ?$/)
    third.type('\u001b[A/help\r')
    await third.see('/regen ')
    third.type('\u0004')
    expect(await third.ended).toBe(0)
    expect(await readFile(path, 'utf8')).not.toContain('/help')
  })

  test('npm start takes the flags of the chat', async () => {
    const terminal = open(START, ['--lang', 'ja', '-n', '8'])
    await terminal.see(/\n> ?$/)
    expect(terminal.screen.text).toContain('番号で')
    terminal.type('終了\r')
    expect(await terminal.ended).toBe(0)
  })
})

describe.skipIf(!hasEmbeddedModel())('npm start without a terminal', () => {
  test('asks in both languages what it answers well, and each answer ends by itself', async () => {
    const { out, err, code } = await start(START, [], { input: '' }).outcome
    expect(code).toBe(0)
    const samples = [...out.matchAll(/^> (.+)\n(.+)\n/gm)]
    const { en, ja } = CHAT_TEXTS
    expect(samples.map(([, question]) => question)).toEqual([...en.openings, ...ja.openings])
    for (const [, question, answer] of samples) {
      // A haiku has no full stop.
      if (question !== '俳句を作って') expect(answer).toMatch(/[.!?。！？]$/)
      // An answer that goes round in circles says the same thrice.
      expect(answer).not.toMatch(/(.{3,})\1\1/u)
    }
    const lengths = [...err.matchAll(/^(\d+)(?: tokens?, |トークン、)/gm)].map(([, n]) => Number(n))
    expect(lengths).toHaveLength(6)
    expect(Math.max(...lengths)).toBeLessThan(DEFAULT_MAX_TOKENS)
    expect(err).toMatch(/トークン、毎秒[\d.]+トークン · native/)
  })

  test('asks in the language that is asked for', async () => {
    const { out } = await start(START, ['--lang', 'ja', '-n', '8'], { input: '' }).outcome
    const asked = [...out.matchAll(/^> (.+)$/gm)].map(([, question]) => question)
    expect(asked).toEqual(CHAT_TEXTS.ja.openings)
  })

  test('tells wrong usage in the language asked for', async () => {
    const { err, code } = await start(START, ['--lang', 'ja', '--temprature', '1'], { input: '' })
      .outcome
    expect(err).toBe(
      'bitnet: --temprature というオプションはありません。\n（--temperature のことでしょうか）\n' +
        '（--help でオプションと使用例を表示します）\n',
    )
    expect(code).toBe(2)
  })

  test('tells wrong usage as every command does', async () => {
    const { err, code } = await start(START, ['--lang', 'fr'], { input: '' }).outcome
    expect(err).toContain('Expected one of en, ja.')
    expect(code).toBe(2)
  })
})
