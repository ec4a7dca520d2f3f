/**
 * `bitnet chat`: a conversation by lines, with history. On a terminal it prompts and edits lines;
 * over a pipe every input line is a turn, and standard output holds the answers alone.
 */
import { createInterface, type Interface } from 'node:readline'
import type { Command } from 'commander'
import { ContextOverflowError, UsageError } from '../../../errors.ts'
import type { GenerateOptions } from '../../../generate/options.ts'
import { EXIT, interruption, type Surroundings } from '../../console/surroundings.ts'
import { dim, isOpen, writeLine, writeText } from '../../console/terminal.ts'
import {
  addModelFlags,
  addSamplingFlags,
  type ModelFlags,
  type SamplingFlags,
} from '../../flags/generation-flags.ts'
import {
  addSpeculationFlags,
  type LoadedModels,
  loadModels,
  type SpeculationFlags,
} from '../../flags/speculation-flags.ts'
import { turnSpeed } from '../bench/speed-report-file.ts'
import { type ChatState, ChatTotals, runChatCommand } from './chat-commands.ts'
import { chatTexts } from './chat-texts.ts'

export interface ChatFlags extends ModelFlags, SamplingFlags, SpeculationFlags {
  readonly system?: string
}

const FAREWELLS: readonly string[] = ['quit', 'exit', '終了', '/quit', '/exit']

export function addChatCommand(command: Command, run: (flags: ChatFlags) => Promise<void>): void {
  command.option('--system <text>', 'system message that opens the conversation')
  addSpeculationFlags(addSamplingFlags(addModelFlags(command)))
    .addHelpText(
      'after',
      `
Examples:
  $ bitnet chat
  $ bitnet chat --system "Answer in one sentence." --temperature 0.5
  $ printf 'Hello!\\nquit\\n' | bitnet chat

While it runs: /reset, /save FILE, /load FILE, /stats, /help; Ctrl-C stops an answer;
quit, exit, 終了 or the end of the input leaves.`,
    )
    .action(run)
}

/** @returns the exit code */
export async function runChat(flags: ChatFlags, surroundings: Surroundings): Promise<number> {
  const loading = interruption(surroundings)
  let models: LoadedModels
  try {
    models = await loadModels(flags, surroundings, loading.signal)
  } finally {
    loading[Symbol.dispose]()
  }
  const { model } = models
  try {
    if (model.tokenizer.chatTemplate === undefined) {
      throw new UsageError(
        `${model.name} has no chat template: it continues texts, but was not taught to talk. ` +
          'Use: bitnet generate',
      )
    }
    await converse(models, flags, surroundings)
    return EXIT.ok
  } finally {
    await models[Symbol.asyncDispose]()
  }
}

async function converse(
  { model, optionsWith }: LoadedModels,
  flags: ChatFlags,
  surroundings: Surroundings,
): Promise<void> {
  const { stdout, stderr, env } = surroundings
  const session = model.chat(flags.system === undefined ? {} : { system: flags.system })
  const texts = chatTexts(env)
  const state: ChatState = { model, session, totals: new ChatTotals(), texts }
  const lines = openLines(surroundings)
  const turns = new Turns(lines)
  const release = surroundings.onInterrupt(() => turns.interrupt())
  lines.on('SIGINT', () => turns.interrupt()) // a terminal in raw mode sends no signal
  try {
    if (lines.terminal) await writeLine(stderr, dim(texts.welcome(model.name), stderr, env))
    if (lines.terminal) lines.prompt()
    for await (const line of lines) {
      const text = line.trim()
      if (turns.isOver || FAREWELLS.includes(text)) break
      if (text.startsWith('/')) await runChatCommand(text, state, surroundings)
      else if (text !== '') {
        await answer(text, state, optionsWith(turns.begin()), surroundings)
        turns.end()
      }
      if (turns.isOver || !isOpen(stdout)) break
      if (lines.terminal) lines.prompt()
    }
    if (lines.terminal && turns.isOver) await writeLine(stderr) // leaves the prompt's line
    const { answers, answerTokens, tokensPerSecond } = state.totals
    if (answers > 0) {
      const closing = texts.closing(
        answers,
        answerTokens,
        tokensPerSecond,
        model.backend.description,
      )
      await writeLine(stderr, dim(closing, stderr, env))
    }
  } finally {
    release()
    lines.close()
    session.dispose()
  }
}

async function answer(
  text: string,
  { session, totals, texts }: ChatState,
  options: GenerateOptions,
  { stdout, stderr, env }: Surroundings,
): Promise<void> {
  try {
    const generation = session.send(text, options)
    let last = ''
    for await (const piece of generation) {
      if (!(await writeText(stdout, piece))) break
      if (piece !== '') last = piece
    }
    const result = await generation.result
    if (!last.endsWith('\n')) await writeLine(stdout)
    totals.add(result)
    if (result.finishReason === 'cancelled') await writeLine(stderr, texts.stopped)
    if (stderr.isTTY === true) {
      await writeLine(stderr, dim(turnSpeed(result), stderr, env))
    }
  } catch (error) {
    if (!(error instanceof ContextOverflowError)) throw error
    await writeLine(stderr, `${error.message} ${texts.tooLong}`)
  }
}

/** Lines of standard input; a prompt is shown only where a person sees and types. */
function openLines({ stdin, stdout, stderr }: Surroundings): Interface {
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
