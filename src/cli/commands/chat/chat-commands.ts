/**
 * The lines of a chat that begin with "/". What was asked for goes to standard output, all else to
 * standard error, so that a pipe that reads answers gets nothing it did not ask for.
 */
import { messageOf } from '../../../checks.ts'
import type { ChatSession, LanguageModel } from '../../../generate/language-model.ts'
import type { GenerateResult } from '../../../generate/options.ts'
import type { Surroundings } from '../../console/surroundings.ts'
import { writeLine } from '../../console/terminal.ts'
import type { ChatTexts } from './chat-texts.ts'
import { readConversation, writeConversation } from './conversation-file.ts'

/** Sums over the answers of a chat. */
export class ChatTotals {
  answers = 0
  promptTokens = 0
  cachedTokens = 0
  answerTokens = 0
  contextTokens = 0
  #decodeMs = 0
  #decodedTokens = 0

  add({ usage, timings }: GenerateResult): void {
    this.answers++
    this.promptTokens += usage.promptTokens
    this.cachedTokens += usage.cachedTokens
    this.answerTokens += usage.completionTokens
    this.contextTokens = usage.totalTokens
    this.#decodeMs += timings.decodeMs
    // The first token of an answer comes out of its prefill.
    this.#decodedTokens += Math.max(0, usage.completionTokens - 1)
  }

  get tokensPerSecond(): string {
    const rate = this.#decodeMs > 0 ? (1000 * this.#decodedTokens) / this.#decodeMs : 0
    return rate.toFixed(1)
  }
}

export interface ChatState {
  readonly model: LanguageModel
  readonly session: ChatSession
  readonly totals: ChatTotals
  readonly texts: ChatTexts
}

/** Runs one "/" line. Mistakes in it are told on standard error and end nothing. */
export async function runChatCommand(
  line: string,
  state: ChatState,
  { stdout, stderr }: Pick<Surroundings, 'stdout' | 'stderr'>,
): Promise<void> {
  const { session, totals, texts } = state
  const [, name, argument] = /^(\S+)\s*(.*)$/su.exec(line) ?? ['', line, '']
  switch (name) {
    case '/help':
      return writeLine(stdout, texts.help)
    case '/stats':
      return writeLine(stdout, describeStats(state))
    case '/reset':
      session.reset()
      totals.contextTokens = 0
      return writeLine(stderr, texts.forgotten)
    case '/save':
    case '/load':
      if (argument === '') return writeLine(stderr, texts.needsFile(name))
      try {
        if (name === '/save') await writeConversation(argument, session.messages)
        else {
          session.restore(await readConversation(argument))
          totals.contextTokens = 0
        }
      } catch (error) {
        // Nothing that is wrong with a file ends a conversation.
        return writeLine(stderr, messageOf(error))
      }
      return writeLine(
        stderr,
        (name === '/save' ? texts.saved : texts.loaded)(session.messages.length, argument),
      )
    default:
      return writeLine(stderr, texts.unknown(name))
  }
}

function describeStats({ model, session, totals, texts }: ChatState): string {
  const names = texts.stats
  return [
    `${names.answers}: ${totals.answers}`,
    `${names.promptTokens}: ${totals.promptTokens}`,
    `${names.cachedTokens}: ${totals.cachedTokens}`,
    `${names.answerTokens}: ${totals.answerTokens}`,
    `${names.speed}: ${totals.tokensPerSecond}`,
    `${names.messages}: ${session.messages.length}`,
    `${names.context}: ${totals.contextTokens} / ${model.config.contextLength}`,
    `${names.backend}: ${model.backend.description}`,
  ].join('\n')
}
