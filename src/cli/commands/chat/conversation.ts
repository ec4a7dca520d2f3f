/**
 * A conversation on the command line: the model that talks, its session, how it is sampled, and what has
 * been counted. Whatever goes wrong in it is told, in its language, and ends nothing.
 */
import { withoutUnset } from '../../../checks.ts'
import { ContextOverflowError, FormatError, UsageError } from '../../../errors.ts'
import type { ChatSession, LanguageModel } from '../../../generate/language-model.ts'
import type { GenerateOptions, GenerateResult } from '../../../generate/options.ts'
import { DEFAULT_MODEL } from '../../../node/resolve-model.ts'
import type { ChatMessage } from '../../../tokenizer/text-tokenizer.ts'
import type { CommandContext } from '../../command-context.ts'
import { cleanText } from '../../console/clean-text.ts'
import { mostStateBytes } from '../../console/saved-state.ts'
import { streamText, writeProse } from '../../console/terminal.ts'
import type { SamplingFlags } from '../../flags/generation-flags.ts'
import type { LoadedModels } from '../../flags/speculation-flags.ts'
import { ConversationFileError, readConversation } from './conversation-file.ts'
import type { ChatTexts } from './texts/english.ts'

/** Sums over the answers of a chat. */
class ChatTotals {
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

export interface ConversationParts {
  readonly models: LoadedModels
  readonly settings: SamplingFlags
  readonly system: string | undefined
  /** Beside the sampling of each turn. */
  readonly tools: Pick<GenerateOptions, 'tools'>
  /** Whether a full context drops the oldest turns; unset: it does. */
  readonly contextShift?: boolean | undefined
  readonly texts: ChatTexts
  readonly context: CommandContext
}

export interface TurnOptions {
  /** The same message as before: with a seed, the next one takes its place. */
  readonly isAgain?: boolean
  /** A person can go on where a turn has failed. Unset: the failure is thrown. */
  readonly isInteractive?: boolean
}

export class Conversation implements AsyncDisposable {
  readonly texts: ChatTexts
  readonly context: CommandContext
  readonly totals = new ChatTotals()
  settings: SamplingFlags
  readonly #tools: Pick<GenerateOptions, 'tools'>
  readonly #contextShift: boolean | undefined
  #models: LoadedModels
  #session: ChatSession
  /** How often the last message was sent before. */
  #attempt = 0
  /** Of what is going on, for Ctrl-C. */
  #activity: AbortController | undefined

  private constructor(parts: ConversationParts) {
    const { models, settings, system, tools, contextShift, texts, context } = parts
    this.texts = texts
    this.context = context
    this.settings = settings
    this.#tools = tools
    this.#contextShift = contextShift
    this.#models = models
    this.#session = this.#sessionOf(
      models.model,
      system === undefined ? [] : [systemMessage(system)],
    )
  }

  /** Takes over the models. @throws UsageError if the one that talks has no chat template */
  static async open(parts: ConversationParts): Promise<Conversation> {
    try {
      return new Conversation(parts)
    } catch (error) {
      await parts.models[Symbol.asyncDispose]()
      throw error
    }
  }

  get model(): LanguageModel {
    return this.#models.model
  }

  get session(): ChatSession {
    return this.#session
  }

  /** What was asked for. Names and messages in it may come from files. */
  show(text: string): Promise<void> {
    return writeProse(this.context.stdout, cleanText(text), this.context.env)
  }

  /** Everything else that is to be known. */
  tell(text: string): Promise<void> {
    return writeProse(this.context.stderr, cleanText(text), this.context.env)
  }

  /** Stops what is going on; false if nothing is. */
  interrupt(): boolean {
    const activity = this.#activity
    if (activity === undefined || activity.signal.aborted) return false
    activity.abort()
    return true
  }

  /** Runs what Ctrl-C can stop. */
  async interruptibly<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    this.#activity = new AbortController()
    try {
      return await work(this.#activity.signal)
    } finally {
      this.#activity = undefined
    }
  }

  /**
   * Sends a message and writes its answer.
   *
   * @returns undefined if there is no answer
   */
  async answer(
    text: string,
    { isAgain = false, isInteractive = true }: TurnOptions = {},
  ): Promise<GenerateResult | undefined> {
    this.#attempt = isAgain ? this.#attempt + 1 : 0
    const { texts, context } = this
    const { stdout, stderr } = context
    const session = this.#session
    const { forgotten } = session
    const { seed } = this.settings
    const sampling =
      seed === undefined ? this.settings : { ...this.settings, seed: seed + this.#attempt }
    try {
      const result = await this.interruptibly(async (signal) => {
        const generation = session.send(text, {
          ...this.#models.optionsWith(signal, sampling),
          ...this.#tools,
        })
        await streamText(generation, stdout)
        return generation.result
      })
      this.totals.add(result)
      const { finishReason, usage, timings, speculation } = result
      if (finishReason === 'cancelled') await this.tell(texts.stopped)
      if (finishReason === 'length') await context.remark(this.#lengthRemark(result))
      if (session.forgotten > forgotten) {
        await context.remark(texts.overflowed(session.forgotten - forgotten))
      }
      if (result.droppedTokens !== undefined) {
        await context.remark(texts.answerShifted(result.droppedTokens))
      }
      if (stderr.isTTY === true) {
        const parts = [
          texts.speed(usage.completionTokens, timings.decodeTokensPerSecond.toFixed(1)),
          ...(speculation === undefined
            ? []
            : [texts.guesses(speculation.accepted, speculation.proposed)]),
        ]
        await context.remark(parts.join(' · '))
      }
      return result
    } catch (error) {
      if (error instanceof ContextOverflowError) {
        await this.tell(texts.tooLong(error.needed, error.available))
      } else if (isInteractive) await this.tell(texts.reason(error))
      else throw error
      return undefined
    }
  }

  #lengthRemark({ usage }: GenerateResult): string {
    // Where old turns are dropped an answer ends nowhere but at its own length.
    const endsWithContext = this.#contextShift === false
    const isContextFull = endsWithContext && usage.totalTokens >= this.model.contextLength
    return isContextFull ? this.texts.contextEnd : this.texts.cut(usage.completionTokens)
  }

  /** Goes on from other messages. */
  restore(messages: readonly ChatMessage[]): void {
    this.#session.restore(messages)
    this.totals.contextTokens = 0
  }

  /**
   * Goes on from a saved conversation.
   *
   * @param shown the path as it was written
   * @returns what is to be told of it
   * @throws ConversationFileError, or the system's error
   */
  async load(path: string, shown = path): Promise<string> {
    const { texts } = this
    const saved = await readConversation(path, mostStateBytes(this.model))
    if (!ArrayBuffer.isView(saved)) {
      this.restore(saved)
      return texts.loaded(saved.length, shown)
    }
    const report = await this.#session.loadState(saved).catch((error: unknown) => {
      if (!(error instanceof FormatError)) throw error
      throw new ConversationFileError('damaged', error.message)
    })
    this.totals.contextTokens = report.cachedTokens
    const loaded = texts.loaded(report.messages, shown, report.cachedTokens)
    return report.refused === undefined
      ? loaded
      : `${texts.loaded(report.messages, shown)}\n${texts.cacheRefused(report.refused)}`
  }

  get system(): string | undefined {
    return this.#session.messages.find(({ role }) => role === 'system')?.content
  }

  /** Says so where there is one for a model that was taught none. */
  async warnOfSystem(): Promise<void> {
    const isUntaught = this.system !== undefined && this.model.name === DEFAULT_MODEL
    if (isUntaught) await this.tell(this.texts.systemUntaught)
  }

  /** Puts a system message in place of the one there is; an empty one removes it. */
  setSystem(text: string): void {
    const rest = this.#session.messages.filter(({ role }) => role !== 'system')
    this.restore(text === '' ? rest : [systemMessage(text), ...rest])
  }

  /**
   * Goes on with another model, which has seen the same conversation.
   *
   * @throws whatever loading throws; the model stays then
   */
  async changeModel(load: (signal: AbortSignal) => Promise<LoadedModels>): Promise<void> {
    const models = await this.interruptibly(load)
    let session: ChatSession
    try {
      session = this.#sessionOf(models.model, this.#session.messages)
    } catch (error) {
      await models[Symbol.asyncDispose]()
      throw error
    }
    const before = this.#models
    this.#models = models
    this.#session = session
    this.totals.contextTokens = 0
    await before[Symbol.asyncDispose]()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#session.dispose()
    await this.#models[Symbol.asyncDispose]()
  }

  #sessionOf(model: LanguageModel, messages: readonly ChatMessage[]): ChatSession {
    if (model.tokenizer.chatTemplate === undefined) {
      throw new UsageError(this.texts.noTemplate(model.name))
    }
    return model.chat({ messages, ...withoutUnset({ contextShift: this.#contextShift }) })
  }
}

function systemMessage(content: string): ChatMessage {
  return { role: 'system', content }
}
