/**
 * The first hour of somebody who has just installed the package, in a terminal: a conversation with typing
 * errors, pasted lines, an answer that is stopped and a message taken back, then a text, the speed of the
 * machine and a comparison. FIRST_HOUR_NODE names another Node to run it with.
 */
import { cp, mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { thisPlace } from '../src/backends/native/find-addon.ts'
import { hasEmbeddedModel, ROOT } from './support/built-program.ts'
import { type PackedProject, packedProject } from './support/packed-package.ts'
import { hasPseudoTerminals, PseudoTerminal } from './support/pseudo-terminal.ts'

const NODE = process.env['FIRST_HOUR_NODE'] ?? process.execPath

const LANGUAGES = {
  en: {
    invitation: 'Try one of these',
    // The cursor goes back over what is missing.
    typed: 'What is BitNt?\u001b[D\u001b[D',
    asked: '> What is BitNet?',
    answer: /BitNet is a kind of language model/,
    answered: /tokens\/s\n> ?$/,
    pasted: ['Hello!', 'How are you?'],
    isSet: 'max-tokens is now 1900.',
    long: 'Tell me a very long story.',
    stopped: '(stopped)',
    undone: 'Taken back: Tell me a very long story.',
    farewell: 'quit',
    text: 'Once upon a time',
    headline: /b1\.58 beside fp16, at 125m: /,
    wrong: "unknown option '--temprature'",
  },
  ja: {
    invitation: '次の質問は番号で',
    typed: 'BitNtとは何ですか？\u001b[D\u001b[D\u001b[D\u001b[D\u001b[D\u001b[D\u001b[D\u001b[D',
    asked: '> BitNetとは何ですか？',
    answer: /BitNetは/,
    answered: /毎秒[\d.]+トークン\n> ?$/,
    pasted: ['こんにちは', '元気ですか？'],
    isSet: 'max-tokens を 1900 にしました。',
    long: 'とても長い物語を聞かせて。',
    stopped: '（中断しました）',
    undone: '取り消しました: とても長い物語を聞かせて。',
    farewell: '終了',
    text: 'むかしむかし、',
    headline: /b1\.58はfp16に比べて/,
    wrong: '--temprature というオプションはありません。',
  },
} as const

const canRun = hasPseudoTerminals() && hasEmbeddedModel()

/** A text that may go on in further rows. */
function inRows(text: string): RegExp {
  const letters = Array.from(text.replaceAll(' ', ''), (letter) => letter.replace(/[.()]/, '\\$&'))
  return new RegExp(letters.join('\\s*'))
}

describe.skipIf(!canRun)('the first hour', () => {
  let project: PackedProject
  let main: string
  const terminals: PseudoTerminal[] = []

  beforeAll(async () => {
    project = await packedProject()
    const home = join(project.folder, 'node_modules', 'bitnet-ts')
    main = join(home, 'dist', 'cli', 'main.js')
    const { platform } = thisPlace()
    const addon = join(project.folder, 'node_modules', '@bitnet-ts', `native-${platform}`)
    await mkdir(addon, { recursive: true })
    const { version } = JSON.parse(await readFile(join(home, 'package.json'), 'utf8'))
    const manifest = { name: `@bitnet-ts/native-${platform}`, version, main: 'bitnet.node' }
    await writeFile(join(addon, 'package.json'), JSON.stringify(manifest))
    const built = join(ROOT, 'native/build', platform, 'bitnet.node')
    await cp(built, join(addon, 'bitnet.node'))
  })
  afterEach(async () => {
    await Promise.all(terminals.splice(0).map((terminal) => terminal.close()))
  })
  afterAll(() => project?.[Symbol.asyncDispose]())

  function open(columns: number, lang: string, args: readonly string[]): PseudoTerminal {
    const own = join(project.folder, `own-${lang}`)
    const env = {
      BITNET_STATE: own,
      BITNET_CACHE: own,
      LANG: { en: 'C', ja: 'ja_JP.UTF-8' }[lang] ?? '',
    }
    const terminal = new PseudoTerminal(NODE, [main, ...args], {
      columns,
      env,
      cwd: project.folder,
    })
    terminals.push(terminal)
    return terminal
  }

  /** Nothing is cut by the terminal's edge, unreadable on white or on black, or said by mistake. */
  function expectNoSurprise({ screen, raw }: PseudoTerminal): void {
    expect(screen.rows.length, screen.text).toBe(screen.text.split('\n').length)
    // Weaker letters are all: colours are the terminal's own, light or dark.
    const styles = raw.split('\u001b[').map((part) => /^[\d;]*m/.exec(part)?.[0])
    const others = styles.filter((style) => style !== undefined && !/^(2|22|0)?m$/.test(style))
    expect(others).toEqual([])
    expect(screen.text).not.toMatch(/undefined|NaN|\[object|unexpected error|runs without/)
  }

  test.each([
    [80, 'en'],
    [40, 'ja'],
  ] as const)('on %i columns, in %s', async (columns, lang) => {
    const words = LANGUAGES[lang]
    const chat = open(columns, lang, ['chat'])
    await chat.see(/\n> ?$/)
    expect(chat.screen.text).toContain(words.invitation)
    expectNoSurprise(chat)

    chat.type(`${words.typed}e\r`)
    await chat.see(words.answered)
    expect(chat.screen.text).toContain(words.asked)
    expect(chat.screen.text.replaceAll('\n', ' ')).toMatch(words.answer)

    const [first, second] = words.pasted
    chat.type(`\u001b[200~${first}\r\n${second}\u001b[201~`)
    await chat.see(`> ${first}\n  ${second}`)
    chat.type('\r')
    await chat.see(new RegExp(`${second.replace('?', '[?]')}\\n.+[\\s\\S]*\\n> ?$`))

    for (const line of ['/set max-tokens 1900', '/set repetition-penalty 1.5'])
      chat.type(`${line}\r`)
    await chat.see(words.isSet)
    chat.type(`${words.long}\r`)
    await chat.see(new RegExp(`${words.long}\\n.`))
    chat.type('\u0003')
    await chat.see(new RegExp(`${words.long}\\n[\\s\\S]*\\n> ?$`))
    chat.type('/undo\r')
    await chat.see(inRows(words.undone))
    expectNoSurprise(chat)
    chat.type(`${words.farewell}\r`)
    expect(await chat.ended).toBe(0)

    const runs: readonly (readonly [args: string[], shown: RegExp, code?: number])[] = [
      [['generate', words.text, '-n', '24', '--seed', '1'], /tokens\/s/],
      [['bench', '--prefill', '16', '--decode', '8', '--runs', '1'], /pp16[\s\S]*tg8/],
      [
        [
          'compare',
          '--size',
          '125m',
          '--columns',
          'fp16,b1.58',
          '--runs',
          '1',
          '--prompt-tokens',
          '4',
          '--decode',
          '2',
        ],
        words.headline,
      ],
      [['chat', '--temprature', '1'], inRows(words.wrong), 2],
    ]
    for (const [args, shown, code = 0] of runs) {
      const terminal = open(columns, lang, args)
      expect(await terminal.ended, terminal.screen.text).toBe(code)
      expect(terminal.screen.text).toMatch(shown)
      expectNoSurprise(terminal)
    }
  })
})
