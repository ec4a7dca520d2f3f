/**
 * `bitnet chat`: a conversation, with history. On a terminal lines are edited and kept; over a pipe
 * every input line is a turn, and standard output holds the answers alone.
 */
import { type Command, Option } from 'commander'
import { BitnetError, UsageError } from '../../../errors.ts'
import type { CommandContext } from '../../command-context.ts'
import { isSystemError } from '../../console/failure.ts'
import type { LanguageFlag } from '../../console/language.ts'
import { isOpen } from '../../console/terminal.ts'
import { defineCommand } from '../../define-command.ts'
import { addSamplingFlags, pickSettings, type SamplingFlags } from '../../flags/generation-flags.ts'
import { addModelFlags, type ModelFlags } from '../../flags/load-flags.ts'
import {
  addSystemFlags,
  readSystem,
  readTools,
  type SystemFlags,
} from '../../flags/prompt-flags.ts'
import {
  addSpeculationFlags,
  loadModels,
  type SpeculationFlags,
} from '../../flags/speculation-flags.ts'
import { bannerOf, openingOf } from './banner.ts'
import {
  type ChatTools,
  isCommand,
  isFarewell,
  messageOfLine,
  runChatCommand,
} from './chat-commands.ts'
import { CHAT_TEXTS } from './chat-texts.ts'
import { Conversation } from './conversation.ts'
import { historyPath, LineHistory } from './line-history.ts'
import { isTerminal, type LineSource, openLines } from './line-source.ts'
import type { ChatTexts } from './texts/english.ts'

export interface ChatFlags
  extends ModelFlags,
    SamplingFlags,
    SpeculationFlags,
    SystemFlags,
    LanguageFlag {
  /** A saved conversation to go on from. */
  readonly load?: string
  /** False with --no-context-shift. */
  readonly contextShift?: boolean
  /** False with --no-history. */
  readonly history?: boolean
}

export function addChatFlags(command: Command): Command {
  addSystemFlags(command)
    .addOption(
      new Option('--load <file>', 'go on from a conversation that /save has written').conflicts([
        'system',
        'systemFile',
      ]),
    )
    .option('--no-context-shift', 'end where the context is full, and forget nothing')
    .option('--no-history', 'keep no typed lines for the next time')
  return addSpeculationFlags(addSamplingFlags(addModelFlags(command)))
}

export const CHAT_SPEAKS = 'what the chat itself'

export const command = defineCommand<ChatFlags>({
  flags: addChatFlags,
  speaks: CHAT_SPEAKS,
  json: false,
  examples: `\
  $ bitnet chat
  $ bitnet chat --lang ja
  $ bitnet chat -m bitnet-2b --system "Answer in one sentence."
  $ bitnet chat --load talk.bin
  $ printf 'Hello!\\nquit\\n' | bitnet chat

While it runs: /set, /regen, /undo, /system, /model, /save, /load, /reset, /stats, /help. Ctrl-C stops an
answer; at the prompt it clears the line, and twice leaves, as do quit, exit, 終了, /bye and Ctrl-D.
""" opens and closes a message of several lines; what is pasted is one message.`,
  async run(context, flags) {
    const texts = CHAT_TEXTS[context.language]
    try {
      const system = await readChatSystem(flags, context)
      const tools = await readTools(flags)
      const models = await loadModels(flags, context)
      const settings = pickSettings(flags)
      await using chat = await Conversation.open({
        ...{ models, settings, system, tools, texts, context },
        contextShift: flags.contextShift,
      })
      if (flags.load !== undefined) await chat.tell(await chat.load(flags.load))
      await converse(chat, flags, context)
    } catch (error) {
      throw inLanguage(error, texts)
    }
  },
})

/** @throws UsageError for standard input, which has the turns; UsageError | FormatError as readSystem */
function readChatSystem(flags: ChatFlags, { stdin }: CommandContext): Promise<string | undefined> {
  if (flags.systemFile !== '-') return readSystem(flags, stdin)
  throw new UsageError('Expected a file for --system-file: standard input holds the conversation.')
}

/** The same error, so that the exit code stays, with the words of the chat's language. */
function inLanguage(error: unknown, texts: ChatTexts): unknown {
  if (error instanceof BitnetError) error.message = texts.reason(error)
  if (!isSystemError(error)) return error
  const { path, code = 'SYSTEM' } = error
  return new BitnetError(code, `${path === undefined ? '' : `${path}: `}${texts.reason(error)}`)
}

async function converse(
  chat: Conversation,
  flags: ChatFlags,
  context: CommandContext,
): Promise<void> {
  const { texts, totals } = chat
  const { draft, ...others } = flags
  const tools: ChatTools = {
    load: (model, signal) => loadModels({ ...others, model }, context, signal),
    hasDraft: draft !== undefined,
  }
  const keepsHistory = flags.history !== false && isTerminal(context)
  const history = await LineHistory.open(keepsHistory ? historyPath() : undefined)
  const lines = openLines(context, {
    history: history.lines,
    leaveHint: texts.leaveHint,
    onInterrupt: () => chat.interrupt(),
  })
  // Where a terminal is in raw mode Ctrl-C is a key; this is the signal, of pipes and other programs.
  context.onInterrupt(() => {
    if (!chat.interrupt()) lines.close()
  })
  try {
    const banner = bannerOf(chat.model, flags.model, texts)
    if (lines.isInteractive) await context.remark(`${banner.lines.join('\n')}\n`)
    await chat.warnOfSystem()
    await takeTurns(chat, lines, lines.isInteractive ? banner.openings : [], history, tools)
    if (totals.answers > 0) {
      const { answers, answerTokens, tokensPerSecond } = totals
      const { description } = chat.model.backend
      await context.remark(texts.closing(answers, answerTokens, tokensPerSecond, description))
    }
  } finally {
    lines.close()
  }
}

async function takeTurns(
  chat: Conversation,
  lines: LineSource,
  openings: readonly string[],
  history: LineHistory,
  tools: ChatTools,
): Promise<void> {
  const { texts, context, totals } = chat
  while (isOpen(context.stdout)) {
    const line = await lines.read()
    if (line === undefined || isFarewell(line)) return
    const problem = await history.keep(line)
    if (problem !== undefined) await context.remark(texts.noHistory(texts.reason(problem)))
    if (isCommand(line)) {
      await runChatCommand(line, chat, tools)
      continue
    }
    const opening = totals.answers === 0 ? openingOf(line, openings) : undefined
    // What a number stands for is shown, as if it had been typed.
    if (opening !== undefined) await context.remark(`> ${opening}`)
    const text = opening ?? messageOfLine(line)
    if (text !== '') await chat.answer(text, { isInteractive: lines.isInteractive })
  }
}
