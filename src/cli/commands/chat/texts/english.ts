/**
 * The chat's texts in English.
 */
import { messageOf } from '../../../../checks.ts'
import type { ModelAlias } from '../../../../hub/aliases.ts'
import { isSystemError, reasonOf } from '../../../console/failure.ts'
import type { SamplingName } from '../../../flags/generation-flags.ts'

/** Of a model in the list that /model shows. */
export interface ModelLine {
  readonly name: string
  readonly size: string
}

/** Sums over a conversation, as they are written. */
export interface StatisticsFacts {
  readonly answers: number
  readonly promptTokens: number
  readonly cachedTokens: number
  readonly answerTokens: number
  readonly tokensPerSecond: string
  readonly messages: number
  readonly forgotten: number
  readonly context: string
  readonly backend: string
}

const count = (number: number, what: string): string =>
  `${number.toLocaleString('en-US')} ${what}${number === 1 ? '' : 's'}`

export const english = {
  /** The three openings that the embedded model answers well. */
  openings: ['What is BitNet?', 'Tell me a story about a dragon.', 'What can you help me with?'],
  /** A text to continue. */
  beginning: 'Once upon a time, there was a little girl',
  embedded: (name: string) =>
    `${name}: 58.8 M parameters in 23 MB, English and Japanese\n` +
    'Every weight is -1, 0 or +1. It explains BitNet, makes small talk, tells very ' +
    'short stories and adds numbers up to 20. Where an answer misses, ask in other words; ' +
    'do not trust its facts.',
  other: (name: string, bytes: string, context: number) =>
    `${name}: ${bytes} of weights, a context of ${context.toLocaleString('en-US')} tokens.`,
  capable: ({ name }: ModelAlias, download: string, memory: string) =>
    `For real work: /model ${name} (downloads ${download}, takes ${memory} of memory)`,
  tryThese: 'Try one of these by its number, or type anything:',
  hint: '/help shows commands. Ctrl-C stops an answer; quit leaves.',
  leaveHint: 'Ctrl-C once more leaves, as quit does.',
  help: `/set NAME VALUE   sampling: temperature, seed, ...; /set alone shows all
/regen            answer the last message again
/undo             take the last message and its answer back
/system TEXT      set the system message; /system "" removes it
/model NAME       go on with another model; /model alone lists some
/save FILE        save the conversation as JSON
/save FILE --cache  with all that was computed, to go on at once
/load FILE        go on from a saved conversation
/reset            forget the conversation, keep the system message
/stats            tokens, speed and what runs
/help             this list
/bye, quit, exit  leave; so does Ctrl-C twice
"""               opens and closes a message of several lines
Alt-Enter begins a line; what is pasted is one message.
Tab completes commands; Up brings earlier lines back.`,
  unknown: (command: string) => `There is no command ${command}. /help lists those there are.`,
  takesNothing: (command: string) => `Nothing belongs behind ${command}.`,
  needsFile: (command: string) => `Expected a file name: ${command} FILE`,
  /** @param size of the file, if what was computed is in it */
  saved: (messages: number, path: string, size?: string) =>
    `Saved ${count(messages, 'message')}${size === undefined ? '' : ' and their cache'} to ${path}` +
    `${size === undefined ? '' : `, ${size}`}.`,
  /** @param tokens that need not be computed again, of a saved cache */
  loaded: (messages: number, path: string, tokens?: number) =>
    `Loaded ${count(messages, 'message')} from ${path}.` +
    `${tokens === undefined ? '' : ` ${count(tokens, 'token')} of them need not be computed again.`}`,
  cacheRefused: (reason: string) =>
    `The cache in it is not used, and the messages are computed again: ${reason}`,
  cannotSave: (path: string, reason: string) => `Not saved: ${path}: ${reason}`,
  cannotLoad: (path: string, reason: string) => `Not loaded: ${path}: ${reason}`,
  forgotten: 'The conversation is forgotten.',
  overflowed: (messages: number) =>
    `The context is full: the oldest ${count(messages, 'message')} are no longer shown to the model. ` +
    '/save still keeps them.',
  answerShifted: (tokens: number) =>
    `The context is full: the first ${count(tokens, 'token')} of the answer are no longer shown to the model.`,
  stopped: '(stopped)',
  cut: (tokens: number) =>
    `(cut after ${count(tokens, 'token')}; /set max-tokens ${2 * tokens} allows more)`,
  contextEnd: '(cut: the context is full; /reset starts over)',
  tooLong: (needed: number, available: number) =>
    `The message needs ${count(needed, 'token')}, and the context has ${available}. Send a shorter one.`,
  nothingToRepeat: 'There is no message to answer again.',
  sameAnswer: 'The likeliest answer is always the same: /set temperature 0.8 brings others.',
  nothingToUndo: 'There is nothing to take back.',
  undone: (text: string) => `Taken back: ${text}`,
  noSystem: 'There is no system message. /system TEXT sets one.',
  system: (text: string) => `System message: ${text}`,
  systemUntaught:
    'This model was taught no system messages, and answers worse with one. /system "" removes it.',
  systemRemoved: 'The system message is removed.',
  set: (name: string, value: string) => `${name} is now ${value}.`,
  settingsHint: '/set NAME VALUE changes one; /set NAME default gives it back to the model.',
  unset: 'default',
  none: 'none',
  drawn: 'a new one each time',
  noSetting: (name: string, names: string) => `There is no setting ${name}. There are: ${names}.`,
  needsValue: (name: string) => `Expected a value: /set ${name} VALUE`,
  badValue: (name: string, value: string, reason: string) =>
    `${name} cannot be ${value}. ${reason}`,
  settings: {
    maxTokens: 'most tokens of an answer',
    temperature: '0 takes the likeliest token; higher is livelier',
    topK: 'draw from the k likeliest; 0: all',
    topP: 'draw from a share p; 1: all',
    minP: 'at least p times the likeliest',
    repetitionPenalty: 'above 1 repeats less',
    frequencyPenalty: 'per earlier occurrence; 0: none',
    presencePenalty: 'if it occurred; 0: none',
    seed: 'repeats an answer exactly',
    stop: 'ends before this text',
  } satisfies Record<SamplingName, string> as Record<SamplingName, string>,
  model: (name: string) => `Now talking: ${name}. /model NAME changes to another:`,
  modelLine: ({ name, size }: ModelLine) => `  ${name}  ${size}`,
  modelChanged: (name: string) => `Now talking: ${name}. It knows the conversation so far.`,
  modelKept: (reason: string, name: string) => `${reason}\nStill talking: ${name}.`,
  draftDropped: 'The draft model does not guess for this one.',
  noTemplate: (name: string) =>
    `${name} has no chat template: it continues texts, but was not taught to talk. ` +
    'Use: bitnet generate',
  noHistory: (reason: string) =>
    `Lines are not kept for the next time: ${reason}. --no-history says nothing of it.`,
  stats: (facts: StatisticsFacts) =>
    [
      `answers: ${facts.answers}`,
      `prompt tokens: ${facts.promptTokens}`,
      `of these, kept from before: ${facts.cachedTokens}`,
      `answer tokens: ${facts.answerTokens}`,
      `tokens/s: ${facts.tokensPerSecond}`,
      `messages: ${facts.messages}`,
      ...(facts.forgotten > 0 ? [`of these, no longer shown: ${facts.forgotten}`] : []),
      `context used: ${facts.context}`,
      `runs on: ${facts.backend}`,
    ].join('\n'),
  speed: (tokens: number, rate: string) => `${count(tokens, 'token')}, ${rate} tokens/s`,
  guesses: (accepted: number, proposed: number) => `${accepted} of ${proposed} guesses right`,
  closing: (answers: number, tokens: number, rate: string, backend: string) =>
    `${count(answers, 'answer')}, ${count(tokens, 'token')}, ${rate} tokens/s · ${backend}`,
  /** A reason for what was not done. */
  reason: (error: unknown): string =>
    isSystemError(error) ? `${reasonOf(error)}.` : messageOf(error),
}

/** Every text; each other language has the same. */
export type ChatTexts = typeof english
