/**
 * Every language says everything: no text is missing, left in English, or an error's English words alone.
 */
import { InvalidArgumentError } from 'commander'
import { describe, expect, test } from 'vitest'
import {
  ContextOverflowError,
  DownloadError,
  ModelNotFoundError,
  UsageError,
} from '../../../errors.ts'
import { findAlias } from '../../../hub/aliases.ts'
import { LANGUAGES, languageOf } from '../../console/language.ts'
import { decimalNumber, wholeNumber } from '../../flags/flag-values.ts'
import { CHAT_TEXTS } from './chat-texts.ts'
import { ConversationFileError } from './conversation-file.ts'

const JAPANESE = /[\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Han}]/u

/** Something for every parameter that a text has. */
const ARGUMENTS: Readonly<Record<string, readonly unknown[]>> = {
  capable: [findAlias('bitnet-2b'), '1.2 GB', '1.5 GB'],
  modelLine: [{ name: 'bitnet-2b', size: '1.2 GB' }],
  reason: [new Error('broken')],
  stats: [
    {
      answers: 2,
      promptTokens: 9,
      cachedTokens: 8,
      answerTokens: 7,
      tokensPerSecond: '1.0',
      messages: 6,
      forgotten: 4,
      context: '1 / 2',
      backend: 'x',
    },
  ],
}
/** Lists of names and figures: the same in every language. */
const WORDLESS = ['modelLine']

/** Every text of a language, by its path. */
function textsOf(texts: object): Map<string, string> {
  const all = new Map<string, string>()
  for (const [name, value] of Object.entries(texts)) {
    if (typeof value === 'function') {
      all.set(name, value(...(ARGUMENTS[name] ?? [7, 9, 8, 'backend'])))
    } else if (typeof value === 'string') all.set(name, value)
    else for (const [inner, text] of textsOf(value)) all.set(`${name}.${inner}`, text)
  }
  return all
}

describe.each(LANGUAGES)('in %s', (language) => {
  const texts = textsOf(CHAT_TEXTS[language])

  test('there are all texts, and none is empty', () => {
    expect([...texts.keys()]).toEqual([...textsOf(CHAT_TEXTS.en).keys()])
    for (const [name, text] of texts) {
      expect(text.trim(), name).not.toBe('')
      expect(text, name).not.toContain('undefined')
    }
  })

  test('all are of that language', () => {
    for (const [name, text] of texts) {
      if (!WORDLESS.includes(name)) expect(JAPANESE.test(text), name).toBe(language === 'ja')
    }
  })

  test('the same commands are explained', () => {
    const commandsOf = (text: string): Set<string> => new Set(text.match(/\/[a-z]+|"""/g))
    expect(commandsOf(CHAT_TEXTS[language].help)).toEqual(commandsOf(CHAT_TEXTS.en.help))
  })

  test('no line of the help is wider than 80 columns', () => {
    const width = (line: string): number => [...line].length + (line.match(/[^ -~]/g)?.length ?? 0)
    for (const line of CHAT_TEXTS[language].help.split('\n')) {
      expect(width(line), line).toBeLessThanOrEqual(80)
    }
  })
})

test('counts in English are written as people write them', () => {
  const { saved, speed, overflowed } = CHAT_TEXTS.en
  expect(saved(1, 'a')).toBe('Saved 1 message to a.')
  expect(speed(1, '2.0')).toBe('1 token, 2.0 tokens/s')
  expect(overflowed(1)).not.toContain('1 messages')
})

test('reasons in English name no code, call or file of ours', () => {
  const message = "ENOENT: no such file or directory, open 'talk.json.1.part'"
  const error = Object.assign(new Error(message), { code: 'ENOENT', syscall: 'open' })
  expect(CHAT_TEXTS.en.reason(error)).toBe('no such file or directory.')
})

describe('reasons in Japanese', () => {
  const { reason } = CHAT_TEXTS.ja
  const systemError = (code: string) => Object.assign(new Error(`${code}: bad`), { code })
  const refusal = (parse: (text: string) => unknown): unknown => {
    try {
      return parse('x')
    } catch (error) {
      return error
    }
  }

  test.each([
    [systemError('ENOENT'), 'ファイルまたはフォルダーがありません。'],
    [systemError('ENOSPC'), 'ディスクに空きがありません。'],
    [systemError('EXOTIC'), 'エラー: EXOTIC: bad'],
    [new ConversationFileError('taken', 'x'), '別の名前にしてください'],
    [new ModelNotFoundError('HF_HUB_OFFLINE is set', { source: 'a/b' }), 'bitnet pull a/b を'],
    [
      new DownloadError('Fetching u failed: e. Check the network.', { url: 'u' }),
      'u を取得できません（e）',
    ],
    [new UsageError('Expected JSON in --tools: JSON text.'), '--tools をJSONとして読めません。'],
    [new ModelNotFoundError('x', { source: 'nowhere' }), '「nowhere」というモデルが見つかりません'],
    [new ContextOverflowError('x', { needed: 9, available: 5 }), '9トークンが必要'],
    [new DownloadError('no route', { url: 'x' }), 'ダウンロードできませんでした: no route'],
    [
      new UsageError('Cannot read a.txt: no such file or directory.'),
      'a.txt を読めません: ファイル',
    ],
    [new UsageError('Cannot read a.txt: strange.'), 'a.txt を読めません: strange'],
    [new UsageError('Expected a file for --system-file: x'), '--system-file にはファイルを'],
    [new UsageError('すでに日本語です。'), 'すでに日本語です。'],
    [new InvalidArgumentError('Expected at least one character.'), '1文字以上の文字列を指定'],
    [refusal(decimalNumber({ above: 0, max: 1 })), '0より大きい、1以下の数を指定してください。'],
    [refusal(wholeNumber({ min: 1 })), '1以上の整数を指定してください。'],
    [refusal(decimalNumber({})), '数を指定してください。'],
  ])('are said of %s', (error, expected) => {
    expect(reason(error)).toContain(expected)
  })
})

test.each([
  [undefined, {}, 'en'],
  [undefined, { LANG: 'ja_JP.UTF-8' }, 'ja'],
  [undefined, { LC_MESSAGES: 'ja', LANG: 'en_US.UTF-8' }, 'ja'],
  ['ja', { LANG: 'en_US.UTF-8' }, 'ja'],
  ['en', { LC_ALL: 'ja_JP.UTF-8' }, 'en'],
] as const)('the language asked for, else the locale: %s, %o', (language, env, expected) => {
  expect(languageOf(language, env)).toBe(expected)
})
