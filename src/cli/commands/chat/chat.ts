/**
 * `bitnet chat`: a conversation by lines, with history. On a terminal it prompts and edits lines;
 * over a pipe every input line is a turn, and standard output holds the answers alone.
 */
import { createInterface, type Interface } from 'node:readline'
import { ContextOverflowError, UsageError } from '../../../errors.ts'
import type { GenerateOptions } from '../../../generate/options.ts'
import type { CommandContext } from '../../command-context.ts'
import { turnSpeed } from '../../console/speed-lines.ts'
import { isOpen, streamText, writeLine } from '../../console/terminal.ts'
import { defineCommand } from '../../define-command.ts'
import { addSamplingFlags, type SamplingFlags } from '../../flags/generation-flags.ts'
import { addModelFlags, type ModelFlags } from '../../flags/load-flags.ts'
import {
  addSpeculationFlags,
  type LoadedModels,
  loadModels,
  type SpeculationFlags,
} from '../../flags/speculation-flags.ts'
import { type ChatState, ChatTotals, runChatCommand } from './chat-commands.ts'
import { chatTexts } from './chat-texts.ts'

export interface ChatFlags extends ModelFlags, SamplingFlags, SpeculationFlags {
  readonly system?: string
}

const FAREWELLS: readonly string[] = ['quit', 'exit', '終了', '/quit', '/exit']

export const command = defineCommand<ChatFlags>({
  flags(command) {
    command.option('--system <text>', 'system message that opens the conversation')
    addSpeculationFlags(addSamplingFlags(addModelFlags(command)))
  },
  json: false,
  examples: `\
  $ bitnet chat
  $ bitnet chat --system "Answer in one sentence." --temperature 0.5
  $ printf 'Hello!\\nquit\\n' | bitnet chat

While it runs: /reset, /save FILE, /load FILE, /stats, /help; Ctrl-C stops an answer;
quit, exit, 終了 or the end of the input leaves.`,
  async run(context, flags) {
    await using models = await loadModels(flags, context)
    const { model } = models
    if (model.tokenizer.chatTemplate === undefined) {
      throw new UsageError(
        `${model.name} has no chat template: it continues texts, but was not taught to talk. ` +
          'Use: bitnet generate',
      )
    }
    await converse(models, flags, context)
  },
})

async function converse(
  { model, optionsWith }: LoadedModels,
  flags: ChatFlags,
  context: CommandContext,
): Promise<void> {
  const { stdout, stderr, env } = context
  const session = model.chat(flags.system === undefined ? {} : { system: flags.system })
  const texts = chatTexts(env)
  const state: ChatState = { model, session, totals: new ChatTotals(), texts }
  const lines = openLines(context)
  const turns = new Turns(lines)
  context.onInterrupt(() => turns.interrupt())
  lines.on('SIGINT', () => turns.interrupt()) // a terminal in raw mode sends no signal
  try {
    if (lines.terminal) await context.remark(texts.welcome(model.name))
    if (lines.terminal) lines.prompt()
    for await (const line of lines) {
      const text = line.trim()
      if (turns.isOver || FAREWELLS.includes(text)) break
      if (text.startsWith('/')) await runChatCommand(text, state, context)
      else if (text !== '') {
        await answer(text, state, optionsWith(turns.begin()), context)
        turns.end()
      }
      if (turns.isOver || !isOpen(stdout)) break
      if (lines.terminal) lines.prompt()
    }
    if (lines.terminal && turns.isOver) await writeLine(stderr) // leaves the prompt's line
    const { answers, answerTokens, tokensPerSecond } = state.totals
    if (answers > 0) {
      const { description } = model.backend
      await context.remark(texts.closing(answers, answerTokens, tokensPerSecond, description))
    }
  } finally {
    lines.close()
    session.dispose()
  }
}

async function answer(
  text: string,
  { session, totals, texts }: ChatState,
  options: GenerateOptions,
  context: CommandContext,
): Promise<void> {
  const { stdout, stderr } = context
  try {
    const generation = session.send(text, options)
    await streamText(generation, stdout)
    const result = await generation.result
    totals.add(result)
    if (result.finishReason === 'cancelled') await writeLine(stderr, texts.stopped)
    if (stderr.isTTY === true) await context.remark(turnSpeed(result))
  } catch (error) {
    if (!(error instanceof ContextOverflowError)) throw error
    await writeLine(stderr, `${error.message} ${texts.tooLong}`)
  }
}

/** Lines of standard input; a prompt is shown only where a person sees and types. */
function openLines({ stdin, stdout, stderr }: CommandContext): Interface {
  const screen = stdout.isTTY === true ? stdout : stderr
  return stdin.isTTY === true && screen.isTTY === true
    ? createInterface({ input: stdin, output: screen, terminal: true, prompt: '> ' })
    : createInterface({ input: stdin, terminal: false, prompt: '', crlfDelay: Infinity })
}

/** Ctrl-C stops the answer that is being written, or leaves while there is none. */
class Turns {
  readonly #lines: Interface
  #answer: AbortController | undefined
  isOver = false

  constructor(lines: Interface) {
    this.#lines = lines
  }

  begin(): AbortSignal {
    this.#answer = new AbortController()
    return this.#answer.signal
  }

  end(): void {
    this.#answer = undefined
  }

  interrupt(): void {
    if (this.#answer !== undefined && !this.#answer.signal.aborted) {
      this.#answer.abort()
    } else {
      this.isOver = true
      this.#lines.close()
    }
  }
}
