/**
 * The chat's texts in Japanese.
 */
import { InvalidArgumentError } from 'commander'
import { messageOf } from '../../../../checks.ts'
import {
  BackendError,
  ContextOverflowError,
  DownloadError,
  FormatError,
  ModelNotFoundError,
} from '../../../../errors.ts'
import { errorCode } from '../../../../node/files/system.ts'
import { expectedInJapanese } from '../../../console/frame-texts.ts'
import { ConversationFileError } from '../conversation-file.ts'
import type { ChatTexts } from './english.ts'

const number = (value: number): string => value.toLocaleString('ja-JP')

export const japanese: ChatTexts = {
  openings: ['BitNetとは何ですか？', 'あなたは誰ですか？', '俳句を作って'],
  beginning: 'むかしむかし、あるところに、',
  embedded: (name) =>
    `${name}: 5,880 万パラメータ、23 MB、日本語と英語\n` +
    '重みは -1、0、+1 だけ。BitNet の説明、雑談、ごく短いお話が得意です。' +
    '事実の知識は当てにならず、計算は苦手です。',
  other: (name, bytes, context) => `${name}: 重み ${bytes}、文脈長 ${number(context)} トークン。`,
  capable: ({ name }, download, memory) =>
    `本格的に使うなら /model ${name}（取得 ${download}、メモリ ${memory}）`,
  tryThese: '次の質問は番号で送れます。自由に入力してもかまいません:',
  hint: '/help でコマンド一覧、Ctrl-C で回答の中断、終了 または quit で終わり。',
  leaveHint: 'もう一度 Ctrl-C を押すと終わります（終了、quit でも終わります）。',
  help: `/set 名前 値      生成の設定（temperature など）。/set だけで一覧を出します
/regen            最後のメッセージにもう一度答えさせます
/undo             最後のメッセージとその回答を取り消します
/system 文        システムメッセージを設定します。/system "" で外します
/model 名前       別のモデルで続けます。/model だけで候補を出します
/save ファイル    会話を JSON で保存します
/load ファイル    保存した会話の続きから始めます
/reset            会話を忘れます（システムメッセージは残ります）
/stats            トークン数、速度、実行環境を表示します
/help             この説明を表示します
/bye、終了、quit  終わります。Ctrl-C を 2 回押しても終わります
"""               複数行のメッセージの始めと終わりに付けます
Alt-Enter で改行します。貼り付けた文章は 1 つのメッセージになります。
Tab でコマンドを補完し、上矢印キーで以前の入力を呼び出します。`,
  unknown: (command) => `${command} というコマンドはありません。/help で一覧を表示します。`,
  takesNothing: (command) => `${command} の後ろには何も書けません。`,
  needsFile: (command) => `ファイル名が必要です: ${command} ファイル`,
  saved: (messages, path) => `${number(messages)} 件のメッセージを ${path} に保存しました。`,
  loaded: (messages, path) => `${path} から ${number(messages)} 件のメッセージを読み込みました。`,
  cannotSave: (path, reason) => `保存できませんでした: ${path}: ${reason}`,
  cannotLoad: (path, reason) => `読み込めませんでした: ${path}: ${reason}`,
  forgotten: '会話を忘れました。',
  overflowed: (messages) =>
    `文脈がいっぱいになったため、古いメッセージ ${number(messages)} 件をモデルに見せないことにしました。` +
    '/save では保存されます。',
  stopped: '（中断しました）',
  cut: (tokens) =>
    `（${number(tokens)} トークンで打ち切りました。/set max-tokens ${2 * tokens} で続きが長くなります）`,
  contextEnd: '（文脈がいっぱいになったため打ち切りました。/reset で最初から始められます）',
  tooLong: (needed, available) =>
    `メッセージに ${number(needed)} トークンが必要ですが、文脈は ${number(available)} トークンまでです。短くしてください。`,
  nothingToRepeat: '答え直すメッセージがありません。',
  sameAnswer: '最も確からしい回答はいつも同じです。/set temperature 0.8 で変化が出ます。',
  nothingToUndo: '取り消すものがありません。',
  undone: (text) => `取り消しました: ${text}`,
  noSystem: 'システムメッセージはありません。/system 文 で設定します。',
  system: (text) => `システムメッセージ: ${text}`,
  systemRemoved: 'システムメッセージを外しました。',
  set: (name, value) => `${name} を ${value} にしました。`,
  settingsHint: '/set 名前 値 で変更し、/set 名前 default でモデルの既定値に戻します。',
  unset: '既定値',
  none: 'なし',
  drawn: '毎回新しい値',
  noSetting: (name, names) => `${name} という設定はありません。設定できるもの: ${names}`,
  needsValue: (name) => `値が必要です: /set ${name} 値`,
  badValue: (name, value, reason) => `${name} に ${value} は設定できません: ${reason}`,
  settings: {
    maxTokens: '回答の最大トークン数',
    temperature: '0 で最も確からしいトークン、大きいほど多彩',
    topK: '確率の高い k 個から選ぶ。0 で全部',
    topP: '確率の合計が p になるまでの候補から選ぶ。1 で全部',
    minP: '最も高い確率の p 倍以上の候補に限る',
    repetitionPenalty: '1 より大きいと繰り返しを抑える',
    frequencyPenalty: '出た回数に応じて下げる。0 でなし',
    presencePenalty: '一度でも出たら下げる。0 でなし',
    seed: '同じ値なら同じ回答になる',
    stop: 'この文字列の手前で止める',
  },
  model: (name) => `現在のモデル: ${name}。/model 名前 で切り替えます:`,
  modelLine: ({ name, size }) => `  ${name}  ${size}`,
  modelChanged: (name) => `${name} に切り替えました。これまでの会話を引き継いでいます。`,
  modelKept: (reason, name) => `${reason}\n${name} のまま続けます。`,
  draftDropped: 'このモデルではドラフトモデルを使いません。',
  noTemplate: (name) =>
    `${name} にはチャットテンプレートがありません。文章の続きを書くモデルで、会話はできません。` +
    'bitnet generate を使ってください。',
  noHistory: (reason) =>
    `入力の履歴を保存できません: ${reason}（--no-history でこの表示は出なくなります）`,
  stats: (facts) =>
    [
      `回答数: ${facts.answers}`,
      `入力トークン: ${facts.promptTokens}`,
      `うち再利用: ${facts.cachedTokens}`,
      `回答トークン: ${facts.answerTokens}`,
      `トークン/秒: ${facts.tokensPerSecond}`,
      `メッセージ数: ${facts.messages}`,
      ...(facts.forgotten > 0 ? [`うちモデルに見せていないもの: ${facts.forgotten}`] : []),
      `文脈の使用量: ${facts.context}`,
      `実行環境: ${facts.backend}`,
    ].join('\n'),
  speed: (tokens, rate) => `${number(tokens)} トークン、毎秒 ${rate} トークン`,
  guesses: (accepted, proposed) => `予測 ${proposed} 個のうち ${accepted} 個が的中`,
  closing: (answers, tokens, rate, backend) =>
    `回答 ${answers} 回、${number(tokens)} トークン、毎秒 ${rate} トークン · ${backend}`,
  reason: reasonOf,
}

/** Words for what systems and files refuse; what has none keeps its own, behind what kind it is of. */
const SYSTEM_REASONS: Readonly<Record<string, string>> = {
  ENOENT: 'ファイルまたはフォルダがありません。',
  EACCES: '権限がありません。',
  EPERM: '権限がありません。',
  EISDIR: 'フォルダです。ファイル名を指定してください。',
  ENOTDIR: '途中の名前がフォルダではありません。',
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
  taken: '会話ではないファイルがすでにあります。別の名前にしてください。',
}

function reasonOf(error: unknown): string {
  if (error instanceof ConversationFileError) return FILE_REASONS[error.reason]
  const known = SYSTEM_REASONS[String(errorCode(error))]
  if (known !== undefined) return known
  if (error instanceof ModelNotFoundError) {
    return `「${error.source}」というモデルが見つかりません。bitnet models で名前の一覧を表示します。`
  }
  if (error instanceof ContextOverflowError) {
    return japanese.tooLong(error.needed, error.available)
  }
  if (error instanceof InvalidArgumentError) return expectedInJapanese(error.message)
  return `${kindOf(error)}: ${messageOf(error)}`
}

function kindOf(error: unknown): string {
  if (error instanceof DownloadError) return 'ダウンロードできませんでした'
  if (error instanceof FormatError) return 'ファイルの内容に問題があります'
  if (error instanceof BackendError) return '実行環境の問題です'
  return 'エラー'
}
