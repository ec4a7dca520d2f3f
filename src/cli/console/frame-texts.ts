/**
 * What the frame of commands says while a model loads and of wrong usage, in each language.
 */
import { formatProgress } from './quantities.ts'

const english = {
  loading: (done: number, all: number) => `Loading the model: ${formatProgress(done, all)}`,
  waitingFor: (model: string) => `Waiting for ${model}`,
  waitingForOther: (file: string) => `Waiting for another process that is fetching ${file}`,
  checking: (file: string) => `Checking ${file}`,
  fetching: (file: string, done: number, all: number) =>
    `Fetching ${file}: ${formatProgress(done, all)}`,
  left: (time: string) => `, ${time} left`,
  threads: (threads: number, processors: number) =>
    `${threads} threads are more than the ${processors} processor${processors === 1 ? '' : 's'} ` +
    'of this machine, and slower.',
  helpHint: '(add --help for the flags and examples)',
  /** Of wrong usage, as commander says it. */
  usage: (message: string) =>
    message.replace(
      /^too many arguments.*$/m,
      '$& A model is named after -m, and a text of several words stands between quotation marks.',
    ),
}

export type FrameTexts = typeof english

/** "41%（117.6 MB中）" */
function progress(done: number, all: number): string {
  return formatProgress(done, all).replace(/^(.*) % of (.*)$/, '$1%（$2中）')
}

const japanese: FrameTexts = {
  loading: (done, all) => `モデルを読み込んでいます: ${progress(done, all)}`,
  waitingFor: (model) => `${model} の応答を待っています`,
  waitingForOther: (file) => `別のプロセスが ${file} を取得しています。終わるのを待っています`,
  checking: (file) => `${file} を確かめています`,
  fetching: (file, done, all) => `${file} を取得しています: ${progress(done, all)}`,
  left: (time) => `、残り ${time}`,
  threads: (threads, processors) =>
    `スレッド${threads}本は、このマシンのプロセッサー${processors}個より多く、かえって遅くなります。`,
  helpHint: '（--help でオプションと使用例を表示します）',
  usage: usageInJapanese,
}

export const FRAME_TEXTS = { en: english, ja: japanese } as const

/** Commander's messages, and those of values in flags/flag-values.ts. */
const USAGE: readonly (readonly [pattern: RegExp, words: (...parts: string[]) => string])[] = [
  [/^unknown option '(.*)'$/, (option) => `${option} というオプションはありません。`],
  [/^unknown command '(.*)'$/, (command) => `${command} というコマンドはありません。`],
  [/^\(Did you mean (?:one of )?(.*)\?\)$/, (names) => `（${names} のことでしょうか）`],
  [/^option '(.*)' argument missing$/, (option) => `${option} には値が必要です。`],
  [/^missing required argument '(.*)'$/, (name) => `引数 ${name} が必要です。`],
  [
    /^option '(.*)' cannot be used with option '(.*)'$/,
    (one, other) => `${one} と ${other} は同時に使えません。`,
  ],
  [
    /^too many arguments.* Expected (\d+) arguments? but got (\d+)\.$/,
    (most, given) =>
      `引数が多すぎます。${most}個までのところ、${given}個あります。モデルは -m で指定し、` +
      '空白を含む文章は引用符で囲んでください。',
  ],
  [
    /^option '(.*)' argument '(.*)' is invalid\. (.*)$/,
    (option, value, why) => `${option} に ${value} は指定できません。${expectedInJapanese(why)}`,
  ],
]

function usageInJapanese(message: string): string {
  const lines = message.split('\n').map((line) => {
    for (const [pattern, words] of USAGE) {
      const parts = pattern.exec(line)
      if (parts !== null) return words(...parts.slice(1))
    }
    return line
  })
  return lines.join('\n')
}

const SIGNS: Readonly<Record<string, string>> = {
  '>=': '以上',
  '<=': '以下',
  '>': 'より大きい',
  '<': '未満',
}

/** "Expected a number >= 0 and < 1." and "Expected one of a, b." of flags/flag-values.ts */
export function expectedInJapanese(message: string): string {
  const names = /^Expected one of (.*)\.$/.exec(message)?.[1]
  if (names !== undefined) return `${names.replaceAll(', ', '、')} のどれかを指定してください。`
  const bounds = [...message.matchAll(/(>=|<=|>|<) (-?\d+(?:\.\d+)?)/g)].map(
    ([, sign, bound]) => `${bound}${SIGNS[sign]}`,
  )
  const what = message.includes('whole number')
    ? '整数'
    : message.includes('number')
      ? '数'
      : '1文字以上の文字列'
  return `${bounds.length === 0 ? '' : `${bounds.join('、')}の`}${what}を指定してください。`
}
