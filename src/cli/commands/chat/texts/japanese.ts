/**
 * The chat's texts in Japanese.
 */
import { ContextOverflowError } from '../../../../errors.ts'
import type { ChatTexts } from './english.ts'
import { reasonInJapanese } from './japanese-reasons.ts'

const number = (value: number): string => value.toLocaleString('ja-JP')

export const japanese: ChatTexts = {
  openings: ['BitNetとは何ですか？', 'bitnet-tsでは何ができますか？', '俳句を作って'],
  beginning: 'むかしむかし、あるところに、',
  embedded: (name) =>
    `${name}: 5,880万パラメーター、23 MB、日本語と英語\n` +
    '重みは -1、0、+1 だけ。BitNetの説明、雑談、ごく短い物語、20までの足し算が得意です。' +
    '的外れな答えには、言い方を変えてみてください。事実に関する答えは当てになりません。',
  other: (name, bytes, context) =>
    `${name}: 重みは${bytes}、コンテキストは${number(context)}トークンです。`,
  capable: ({ name }, download, memory) =>
    `本格的に使うなら /model ${name}（ダウンロード${download}、メモリ${memory}）`,
  tryThese: '次の質問は番号で送れます。自由に入力してもかまいません。',
  hint: '/help でコマンド一覧、Ctrl-Cで回答を中断、「終了」かquitで終わります。',
  leaveHint: 'もう一度Ctrl-Cを押すと終わります（「終了」やquitでも終わります）。',
  help: `/set 名前 値      生成の設定（temperatureなど）。/set だけで一覧を出します
/regen            直前のメッセージにもう一度答えさせます
/undo             直前のメッセージとその回答を取り消します
/system テキスト  システムメッセージを設定します。/system "" で外します
/model 名前       別のモデルで続けます。/model だけで候補を出します
/save ファイル    会話をJSONで保存します
/save ファイル --cache  計算済みのキャッシュも保存し、次回すぐに続けられます
/load ファイル    保存した会話の続きから始めます
/reset            会話を忘れます（システムメッセージは残ります）
/stats            トークン数、速さ、実行環境を表示します
/help             この説明を表示します
/bye、終了、quit  終わります。Ctrl-Cを2回押しても終わります
"""               複数行のメッセージの始めと終わりに付けます
Alt-Enterで改行します。貼り付けた文章は1つのメッセージになります。
Tabでコマンドを補完し、上矢印キーで以前の入力を呼び出します。`,
  unknown: (command) => `${command} というコマンドはありません。/help で一覧を表示します。`,
  takesNothing: (command) => `${command} の後ろには何も付けられません。`,
  needsFile: (command) => `ファイル名が必要です: ${command} ファイル`,
  saved: (messages, path, size) =>
    size === undefined
      ? `${number(messages)}件のメッセージを ${path} に保存しました。`
      : `${number(messages)}件のメッセージと計算済みのキャッシュを ${path} に保存しました（${size}）。`,
  loaded: (messages, path, tokens) =>
    `${path} から${number(messages)}件のメッセージを読み込みました。` +
    `${tokens === undefined ? '' : `${number(tokens)}トークン分は計算済みです。`}`,
  cacheRefused: () =>
    '保存されたキャッシュは、現在のモデルや設定で計算したものではないため使いません。メッセージは計算し直します。',
  cannotSave: (path, reason) => `保存できませんでした: ${path}: ${reason}`,
  cannotLoad: (path, reason) => `読み込めませんでした: ${path}: ${reason}`,
  forgotten: '会話を忘れました。',
  overflowed: (messages) =>
    `コンテキストがいっぱいになりました。古いメッセージ${number(messages)}件は、以後モデルに渡しません` +
    '（/save では保存されます）。',
  answerShifted: (tokens) =>
    `コンテキストがいっぱいになりました。回答の最初の${number(tokens)}トークンは、以後モデルに渡しません。`,
  stopped: '（中断しました）',
  cut: (tokens) =>
    `（${number(tokens)}トークンで打ち切りました。/set max-tokens ${2 * tokens} で上限を増やせます）`,
  contextEnd: '（コンテキストがいっぱいになったため打ち切りました。/reset で最初から始められます）',
  tooLong: (needed, available) =>
    `メッセージには${number(needed)}トークンが必要ですが、コンテキストは${number(available)}トークンまでです。` +
    '短くしてください。',
  nothingToRepeat: '答え直すメッセージがありません。',
  sameAnswer: '最も確率の高い回答は毎回同じになります。/set temperature 0.8 などで変化が出ます。',
  nothingToUndo: '取り消すものがありません。',
  undone: (text) => `取り消しました: ${text}`,
  noSystem: 'システムメッセージはありません。/system テキスト で設定します。',
  system: (text) => `システムメッセージ: ${text}`,
  systemUntaught:
    'このモデルはシステムメッセージを学習していないため、付けると答えが乱れます。/system "" で外せます。',
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
    temperature: '0なら最も確率の高いトークン、大きいほど多様',
    topK: '確率の高いk個から選ぶ。0ならすべて',
    topP: '確率の合計がpになるまでの候補から選ぶ。1ならすべて',
    minP: '最も高い確率のp倍以上の候補に限る',
    repetitionPenalty: '1より大きいと繰り返しを抑える',
    frequencyPenalty: '出た回数に応じて出にくくする。0なら無効',
    presencePenalty: '一度でも出たら出にくくする。0なら無効',
    seed: '同じ値なら同じ回答になる',
    stop: 'この文字列の手前で止める',
  },
  model: (name) => `現在のモデル: ${name}。/model 名前 で切り替えます。`,
  modelLine: ({ name, size }) => `  ${name}  ${size}`,
  modelChanged: (name) => `${name} に切り替えました。これまでの会話を引き継いでいます。`,
  modelKept: (reason, name) => `${reason}\n${name} のまま続けます。`,
  draftDropped: 'このモデルではドラフトモデルを使いません。',
  noTemplate: (name) =>
    `${name} は文章の続きを書くモデルで、チャットテンプレートがないため会話はできません。` +
    'bitnet generate を使ってください。',
  noHistory: (reason) =>
    `入力の履歴を保存できません: ${reason}（--no-history でこの表示は出なくなります）`,
  stats: (facts) =>
    [
      `回答数: ${facts.answers}`,
      `入力トークン: ${facts.promptTokens}`,
      `うちキャッシュから: ${facts.cachedTokens}`,
      `回答トークン: ${facts.answerTokens}`,
      `トークン/秒: ${facts.tokensPerSecond}`,
      `メッセージ数: ${facts.messages}`,
      ...(facts.forgotten > 0 ? [`うちモデルに渡していないもの: ${facts.forgotten}`] : []),
      `コンテキストの使用量: ${facts.context}`,
      `実行環境: ${facts.backend}`,
    ].join('\n'),
  speed: (tokens, rate) => `${number(tokens)}トークン、毎秒${rate}トークン`,
  guesses: (accepted, proposed) => `予測${proposed}個のうち${accepted}個が的中`,
  closing: (answers, tokens, rate, backend) =>
    `回答${answers}回、${number(tokens)}トークン、毎秒${rate}トークン · ${backend}`,
  reason: (error) =>
    error instanceof ContextOverflowError
      ? japanese.tooLong(error.needed, error.available)
      : reasonInJapanese(error),
}
