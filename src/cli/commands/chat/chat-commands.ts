/**
 * The lines of a chat that begin with "/". What was asked for goes to standard output, all else to
 * standard error, so that a pipe that reads answers gets nothing it did not ask for.
 */
import { MODEL_ALIASES } from '../../../hub/aliases.ts'
import { expandPath } from '../../../node/files/folders.ts'
import type { Completion } from '../../console/line-editor/completion.ts'
import { formatBytes } from '../../console/quantities.ts'
import type { LoadedModels } from '../../flags/speculation-flags.ts'
import type { Conversation } from './conversation.ts'
import { writeConversation } from './conversation-file.ts'
import { changeSetting, SETTING_NAMES, unquoted } from './sampling-settings.ts'

/** What commands need besides the conversation. */
export interface ChatTools {
  /** Loads another model with the flags of this run. */
  readonly load: (name: string, signal: AbortSignal) => Promise<LoadedModels>
  /** Whether the flags ask for a draft model, which guesses for the first model alone. */
  readonly hasDraft: boolean
}

interface ChatCommand {
  /** Whether something may follow it. */
  readonly takes?: 'argument'
  run(chat: Conversation, argument: string, tools: ChatTools): Promise<void>
}

const COMMANDS: Readonly<Record<string, ChatCommand>> = {
  '/help': { run: (chat) => chat.show(chat.texts.help) },
  '/stats': { run: (chat) => chat.show(describeStatistics(chat)) },
  '/set': {
    takes: 'argument',
    async run(chat, argument) {
      const { settings, said } = changeSetting(argument, chat.settings, chat.model, chat.texts)
      chat.settings = settings
      await (argument === '' ? chat.show(said) : chat.tell(said))
    },
  },
  '/regen': { run: answerAgain },
  '/undo': {
    async run(chat) {
      const { session, texts } = chat
      const text = session.undo()
      await chat.tell(text === undefined ? texts.nothingToUndo : texts.undone(beginningOf(text)))
    },
  },
  '/system': {
    takes: 'argument',
    async run(chat, argument) {
      const { texts, system } = chat
      if (argument === '') {
        return chat.show(system === undefined ? texts.noSystem : texts.system(system))
      }
      const text = OPENS.test(argument) ? messageOfLine(argument) : unquoted(argument)
      chat.setSystem(text)
      await chat.tell(text === '' ? texts.systemRemoved : texts.system(text))
      await chat.warnOfSystem()
    },
  },
  '/model': { takes: 'argument', run: changeModel },
  '/reset': {
    async run(chat) {
      chat.session.reset()
      chat.totals.contextTokens = 0
      await chat.tell(chat.texts.forgotten)
    },
  },
  '/save': { takes: 'argument', run: save },
  '/load': { takes: 'argument', run: load },
}

const FAREWELLS: readonly string[] = ['quit', 'exit', '終了', '/quit', '/exit', '/bye', '/終了']

/** Whatever the case and the width: "QUIT", "ｑｕｉｔ", "／ｂｙｅ". */
export function isFarewell(line: string): boolean {
  return FAREWELLS.includes(plain(line))
}

/** A name behind "/", and nothing that a path or a fraction has. */
const COMMAND_LINE = /^\s*([/／][\p{L}?？]*)(?=\s|$)\s*(.*?)\s*$/su

export function isCommand(line: string): boolean {
  return COMMAND_LINE.test(line)
}

/** Runs one "/" line. Mistakes in it are told on standard error and end nothing. */
export async function runChatCommand(
  line: string,
  chat: Conversation,
  tools: ChatTools,
): Promise<void> {
  const { texts } = chat
  const [, written, argument] = COMMAND_LINE.exec(line) as RegExpExecArray
  const name = plain(written) === '/?' ? '/help' : plain(written)
  const command = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined
  if (command === undefined) await chat.tell(texts.unknown(name))
  else if (argument !== '' && command.takes === undefined) {
    await chat.tell(texts.takesNothing(name))
  } else await command.run(chat, argument, tools)
}

/** What may stand at the end of a "/" line. */
export function completeCommand(text: string): Completion {
  const space = text.indexOf(' ')
  if (!text.startsWith('/')) return { from: text.length, words: [] }
  if (space < 0) return { from: 0, words: [...Object.keys(COMMANDS), '/bye'].sort() }
  const words = { '/set': SETTING_NAMES, '/model': chatModels().map(({ name }) => name) }
  const from = space + 1
  return { from, words: words[text.slice(0, space) as keyof typeof words] ?? [] }
}

const QUOTES = '["＂“”]{3}'
const OPENS = new RegExp(`^\\s*(?:[/／]\\p{L}+\\s+)?${QUOTES}`, 'u')

/** Whether a message that """ opened is still open. */
export function isOpenMessage(text: string): boolean {
  return OPENS.test(text) && (text.match(new RegExp(QUOTES, 'g')) ?? []).length % 2 === 1
}

/** What is said by a line, or by several between """. */
export function messageOfLine(text: string): string {
  const quoted = new RegExp(`^\\s*${QUOTES}(.*?)(?:${QUOTES})?\\s*$`, 's').exec(text)
  // Spaces at the beginning of quoted lines are meant.
  return quoted === null ? text.trim() : quoted[1].replace(/^\s*\n|\s+$/g, '')
}

function plain(text: string): string {
  return text.normalize('NFKC').trim().toLowerCase()
}

/** The first line, shortened: what is told of a message that is known. */
function beginningOf(text: string): string {
  const [first] = text.split('\n')
  const letters = Array.from(first)
  return letters.length < 40 && first === text ? text : `${letters.slice(0, 40).join('')}...`
}

async function answerAgain(chat: Conversation): Promise<void> {
  const { session, texts, context } = chat
  const before = session.messages
  const text = session.undo()
  if (text === undefined) return chat.tell(texts.nothingToRepeat)
  const earlier = before.at(-1)
  const result = await chat.answer(text, { isAgain: true })
  // The old answer is better than none.
  if (result === undefined || result.text === '') session.restore(before)
  else if (result.text === earlier?.content && result.finishReason === 'stop') {
    await context.remark(texts.sameAnswer)
  }
}

async function changeModel(chat: Conversation, name: string, tools: ChatTools): Promise<void> {
  const { texts } = chat
  if (name === '') {
    const lines = chatModels().map(({ name, bytes }) =>
      texts.modelLine({ name, size: bytes === undefined ? '' : formatBytes(bytes) }),
    )
    return chat.show([texts.model(chat.model.name), ...lines].join('\n'))
  }
  try {
    await chat.changeModel((signal) => tools.load(pathOf(name), signal))
    await chat.tell(texts.modelChanged(chat.model.name))
    if (tools.hasDraft) await chat.tell(texts.draftDropped)
  } catch (error) {
    const isStopped = error instanceof Error && error.name === 'AbortError'
    const reason = isStopped ? texts.stopped : texts.reason(error)
    await chat.tell(texts.modelKept(reason, chat.model.name))
  }
}

function chatModels() {
  return MODEL_ALIASES.filter(({ kind }) => kind === 'chat')
}

/** Behind or before the file's name. */
const CACHE_FLAG = /(^|\s)--cache(?=\s|$)/

async function save(chat: Conversation, argument: string): Promise<void> {
  const { session, texts } = chat
  const withCache = CACHE_FLAG.test(argument)
  const path = argument.replace(CACHE_FLAG, '').trim()
  if (path === '') return chat.tell(texts.needsFile('/save'))
  const { messages } = session
  try {
    const saved = withCache ? await session.saveState() : messages
    await writeConversation(pathOf(path), saved)
    const size = withCache ? formatBytes(saved.length) : undefined
    await chat.tell(texts.saved(messages.length, path, size))
  } catch (error) {
    await chat.tell(texts.cannotSave(path, texts.reason(error)))
  }
}

async function load(chat: Conversation, path: string): Promise<void> {
  const { texts } = chat
  if (path === '') return chat.tell(texts.needsFile('/load'))
  try {
    await chat.tell(await chat.load(pathOf(path), path))
  } catch (error) {
    await chat.tell(texts.cannotLoad(path, texts.reason(error)))
  }
}

/** A path as people write it: in quotes, or below their home. */
function pathOf(text: string): string {
  return expandPath(/^(["'])(.*)\1$/s.exec(text)?.[2] ?? text, process.env)
}

function describeStatistics({ model, session, totals, texts }: Conversation): string {
  return texts.stats({
    answers: totals.answers,
    promptTokens: totals.promptTokens,
    cachedTokens: totals.cachedTokens,
    answerTokens: totals.answerTokens,
    tokensPerSecond: totals.tokensPerSecond,
    messages: session.messages.length,
    forgotten: session.forgotten,
    context: `${totals.contextTokens} / ${model.contextLength}`,
    backend: model.backend.description,
  })
}
