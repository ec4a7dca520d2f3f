/**
 * Why something was not done, in Japanese: what systems refuse, and what the library and the commands do.
 */
import { getSystemErrorMap } from 'node:util'
import { InvalidArgumentError } from 'commander'
import { messageOf } from '../../../../checks.ts'
import { BackendError, DownloadError, FormatError, ModelNotFoundError } from '../../../../errors.ts'
import { errorCode } from '../../../../node/files/system.ts'
import { expectedInJapanese } from '../../../console/frame-texts.ts'
import { ConversationFileError } from '../conversation-file.ts'

/** Words for what systems and files refuse; what has none keeps its own, behind what kind it is of. */
const SYSTEM_REASONS: Readonly<Record<string, string>> = {
  ENOENT: 'ファイルまたはフォルダーがありません。',
  EACCES: '権限がありません。',
  EPERM: '権限がありません。',
  EISDIR: 'フォルダーです。ファイル名を指定してください。',
  ENOTDIR: '途中の名前がフォルダーではありません。',
  ENOSPC: 'ディスクに空きがありません。',
  EDQUOT: 'ディスクの割り当てを使い切りました。',
  EROFS: '書き込めないディスクです。',
  ENAMETOOLONG: '名前が長すぎます。',
  EMFILE: '開いているファイルが多すぎます。',
  ELOOP: 'リンクが循環しています。',
  ERR_INVALID_ARG_VALUE: '名前に使えない文字があります。',
}

const FILE_REASONS: Readonly<Record<ConversationFileError['reason'], string>> = {
  kind: '通常のファイルではありません。',
  size: 'ファイルが大きすぎます。',
  content: '保存した会話ではありません。',
  damaged: '保存した会話のファイルが壊れています。',
  taken: '会話ではないファイルがすでにあります。別の名前にしてください。',
}

const IS_JAPANESE = /[\p{Script=Hiragana}\p{Script=Katakana}]/u

/** Of the errors that a chat's flags and commands lead to. */
const REFUSALS: readonly (readonly [pattern: RegExp, words: (...parts: string[]) => string])[] = [
  [/^Cannot read (.*): (.*)\.$/s, (path, why) => `${path} を読めません: ${systemReason(why)}`],
  [/^Expected JSON in (.*?): /s, (origin) => `${origin} をJSONとして読めません。`],
  [
    /^Fetching (\S+) failed: (.*)\. Check the network/s,
    (address, why) =>
      `${address} を取得できません（${why}）。ネットワークと、プロキシを使う場合はHTTPS_PROXYを` +
      '確認してください。',
  ],
  [
    /^Expected UTF-8 in (.*?), got (.*?)\. /s,
    (name, got) => `${name} はUTF-8ではありません（${got}）。UTF-8に変換してください。`,
  ],
  [
    /^Expected at most (\d+) threads on this machine, which has (\d+) processors, got (\d+)/,
    (most, processors, given) =>
      `スレッド数${given}は多すぎます。プロセッサー${processors}個のこのマシンでは${most}までです。`,
  ],
  [
    /^Expected a \S+ variant that runs here, got "(.*?)": (.*)\.$/s,
    (asked, known) => `${asked} はこのマシンでは使えません: ${known}`,
  ],
  [
    /^Expected (?:memory|room) for .*(?:gives none|allocation failed)/s,
    () =>
      'メモリが足りません。小さなモデルか短いコンテキストにするか、ほかのプログラムを終了してください。',
  ],
  [
    /^Expected a draft model with the same vocabulary/,
    () => 'ドラフトモデルの語彙がモデルと一致しません。同じ系列の小さなモデルを指定してください。',
  ],
  [
    /^Expected a list of tools in (.*?), alone/s,
    (origin) => `${origin} にはツールのリストをJSONで指定してください。`,
  ],
  [
    /^Expected a model whose chat template takes tools/,
    () => 'このモデルのチャットテンプレートはツールに対応していません。',
  ],
  [
    /^Expected a file for --system-file/,
    () => '--system-file にはファイルを指定してください。標準入力は会話に使います。',
  ],
  [
    /^The package (\S+) is not installed: (.*)$/s,
    (name, command) => `${name} がインストールされていません。次のコマンドで入ります: ${command}`,
  ],
]

/** By what Node says of a code. */
function systemReason(words: string): string {
  const [code = ''] = [...getSystemErrorMap().values()].find(([, said]) => said === words) ?? []
  return SYSTEM_REASONS[code] ?? words
}

/** Why something was not done. What has no words of its own here keeps its English ones. */
export function reasonInJapanese(error: unknown): string {
  if (error instanceof ConversationFileError) return FILE_REASONS[error.reason]
  const known = SYSTEM_REASONS[String(errorCode(error))]
  if (known !== undefined) return known
  if (error instanceof ModelNotFoundError) {
    if (error.message.includes('HF_HUB_OFFLINE')) {
      return (
        `${error.source} はキャッシュにありません。HF_HUB_OFFLINEの設定を外して、` +
        `一度 bitnet pull ${error.source} を実行してください。`
      )
    }
    return `「${error.source}」というモデルが見つかりません。bitnet models で名前の一覧を表示します。`
  }
  if (error instanceof InvalidArgumentError) return expectedInJapanese(error.message)
  const message = messageOf(error)
  if (IS_JAPANESE.test(message)) return message
  for (const [pattern, words] of REFUSALS) {
    const parts = pattern.exec(message)
    if (parts !== null) return words(...parts.slice(1))
  }
  return `${kindOf(error)}: ${message}`
}

function kindOf(error: unknown): string {
  if (error instanceof DownloadError) return 'ダウンロードできませんでした'
  if (error instanceof FormatError) return 'ファイルの内容に問題があります'
  if (error instanceof BackendError) return '実行環境の問題です'
  return 'エラー'
}
