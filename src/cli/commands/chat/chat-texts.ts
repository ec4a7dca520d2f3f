/**
 * What the chat says to the user, in English and in Japanese.
 */
import type { Surroundings } from '../../console/surroundings.ts'

const english = {
  welcome: (model: string) =>
    `Talking with ${model}. Ctrl-C stops an answer; quit, exit or 終了 leaves; /help shows more.`,
  help: `/reset        forget the conversation, keep the system message
/save FILE    save the conversation as JSON
/load FILE    go on from a saved conversation
/stats        tokens, speed and what runs
/help         this list
quit, exit, 終了, or Ctrl-C while nothing is being written: leave`,
  unknown: (command: string) => `There is no command ${command}. /help lists those there are.`,
  needsFile: (command: string) => `Expected a file name: ${command} FILE`,
  saved: (count: number, path: string) => `Saved ${count} messages to ${path}.`,
  loaded: (count: number, path: string) => `Loaded ${count} messages from ${path}.`,
  forgotten: 'The conversation is forgotten.',
  stopped: '(stopped)',
  tooLong: '/reset starts over; /save FILE keeps what was said.',
  stats: {
    answers: 'answers',
    promptTokens: 'prompt tokens',
    cachedTokens: 'of these, kept from before',
    answerTokens: 'answer tokens',
    speed: 'tokens/s',
    messages: 'messages',
    context: 'context used',
    backend: 'runs on',
  },
  closing: (answers: number, tokens: number, rate: string, backend: string) =>
    `${answers} ${answers === 1 ? 'answer' : 'answers'}, ${tokens} tokens, ${rate} tokens/s · ${backend}`,
}

export type ChatTexts = typeof english

const japanese: ChatTexts = {
  welcome: (model) =>
    `${model} と話します。Ctrl-C で回答を中断、quit・exit・終了 で終わります。/help で説明を表示します。`,
  help: `/reset        会話を忘れます（システムメッセージは残ります）
/save FILE    会話を JSON で保存します
/load FILE    保存した会話の続きから始めます
/stats        トークン数、速度、実行環境を表示します
/help         この説明を表示します
quit、exit、終了、または回答中でないときの Ctrl-C で終わります`,
  unknown: (command) => `${command} というコマンドはありません。/help で一覧を表示します。`,
  needsFile: (command) => `ファイル名が必要です: ${command} FILE`,
  saved: (count, path) => `${count} 件のメッセージを ${path} に保存しました。`,
  loaded: (count, path) => `${path} から ${count} 件のメッセージを読み込みました。`,
  forgotten: '会話を忘れました。',
  stopped: '（中断しました）',
  tooLong: '/reset で最初から始められます。/save FILE で会話を保存できます。',
  stats: {
    answers: '回答数',
    promptTokens: '入力トークン',
    cachedTokens: 'うち再利用',
    answerTokens: '回答トークン',
    speed: 'トークン/秒',
    messages: 'メッセージ数',
    context: '文脈の使用量',
    backend: '実行環境',
  },
  closing: (answers, tokens, rate, backend) =>
    `回答 ${answers} 回、${tokens} トークン、毎秒 ${rate} トークン · ${backend}`,
}

/** Japanese where the locale's language is Japanese, else English. */
export function chatTexts(env: Surroundings['env']): ChatTexts {
  const locale = env['LC_ALL'] || env['LC_MESSAGES'] || env['LANG'] || ''
  return locale.startsWith('ja') ? japanese : english
}
