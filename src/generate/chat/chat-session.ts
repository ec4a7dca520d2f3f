/**
 * A conversation: each turn computes only what is not computed yet.
 */
import { UsageError } from '../../errors.ts'
import { checkOptions, fail, type OptionRules, oneOf, TOOLS } from '../../option-checks.ts'
import type { ChatMessage, ToolDescription } from '../../tokenizer/text-tokenizer.ts'
import type { GenerationScope } from '../generation-stream.ts'
import type { ChatOptions, ChatSession } from '../language-model.ts'
import type { GenerateOptions, GenerateResult, Generation } from '../options.ts'
import { checkRoom, validateMessages } from '../prompt.ts'
import type { Runtime } from '../schedule/runtime.ts'
import type { Sequence } from '../schedule/sequence.ts'
import { openGuesser } from '../speculate/open-guesser.ts'
import { resolveOptions } from '../validate-options.ts'
import { nextTurn, type Transcript } from './chat-prompt.ts'
import { forgettable, openingOf } from './chat-window.ts'

const CHAT_OPTIONS: OptionRules<ChatOptions> = {
  system: {
    expected: 'a string',
    holds: (value) => typeof value === 'string',
    also: ['system_prompt', 'system_message', 'instructions'],
  },
  messages: { expected: 'an array of messages', holds: Array.isArray, also: ['history'] },
  tools: TOOLS,
  overflow: { ...oneOf(['fail', 'forget']), also: ['truncation', 'on_overflow'] },
}

export class CachedChatSession implements ChatSession {
  readonly #runtime: Runtime
  readonly #disown: () => void
  readonly #positions: number
  readonly #forgets: boolean
  readonly #tools: readonly ToolDescription[] | undefined
  #messages: readonly ChatMessage[]
  /** Messages behind the opening that the model is not shown any more. */
  #forgotten = 0
  /** Set if the last message is an answer of this session. */
  #transcript: Transcript | undefined
  #running: GenerationScope | undefined
  #disposed = false

  /** @throws UsageError for a wrong option, and for a system message in `messages` beside `system` */
  constructor(runtime: Runtime, options: ChatOptions) {
    checkOptions('chat', options, CHAT_OPTIONS)
    const { system, messages = [], tools, overflow = 'fail' } = options
    validateMessages('messages', messages)
    if (system !== undefined && messages.some((message) => message.role === 'system')) {
      throw new UsageError(
        'Expected one system message, got one as `system` and one in `messages`. Leave one out.',
      )
    }
    const opening: ChatMessage[] = system === undefined ? [] : [{ role: 'system', content: system }]
    this.#messages = [...opening, ...messages]
    this.#runtime = runtime
    this.#forgets = overflow === 'forget'
    this.#tools = tools
    this.#positions = runtime.contextLength
    this.#disown = runtime.own(this)
  }

  get messages(): readonly ChatMessage[] {
    return this.#messages
  }

  get forgotten(): number {
    return this.#forgotten
  }

  send(text: string, options: GenerateOptions = {}): Generation {
    return this.#runtime.start(options, async (scope) => {
      this.#assertUsable()
      if (this.#running !== undefined) {
        throw new UsageError(
          'Expected one turn at a time, got a second one while an answer is being written. Wait ' +
            'for its result, or use another session.',
        )
      }
      this.#running = scope
      try {
        return await this.#answer(text, options, scope)
      } finally {
        this.#running = undefined
      }
    })
  }

  restore(messages: readonly ChatMessage[]): void {
    validateMessages('messages', messages)
    this.#assertIdle('restore')
    this.#show([...messages])
  }

  reset(): void {
    this.#assertIdle('reset')
    this.#show(this.#messages.filter((message) => message.role === 'system'))
  }

  undo(): string | undefined {
    this.#assertIdle('undo')
    const last = this.#messages.findLastIndex((message) => message.role === 'user')
    if (last < 0) return undefined
    const { content } = this.#messages[last]
    const forgotten = this.#forgotten
    this.#show(this.#messages.slice(0, last))
    // What was left out stays so: the model would otherwise compute the whole context anew.
    const rest = this.#messages.length - openingOf(this.#messages).length
    this.#forgotten = Math.min(forgotten, rest)
    return content
  }

  dispose(): void {
    if (this.#disposed) return
    this.#disposed = true
    this.#disown()
    this.#running?.cancel()
  }

  /** A history that is not the one before with a turn more. */
  #show(messages: readonly ChatMessage[]): void {
    this.#messages = messages
    this.#forgotten = 0
    this.#transcript = undefined
  }

  /** Messages that the model is shown. */
  #shown(): readonly ChatMessage[] {
    const opening = openingOf(this.#messages)
    return [...opening, ...this.#messages.slice(opening.length + this.#forgotten)]
  }

  /** The prompt of a turn; leaves out the oldest exchanges where that is asked for and needed. */
  #promptOf(
    user: ChatMessage,
    maxTokens: number,
    tools: readonly ToolDescription[] | undefined,
  ): Transcript {
    const { tokenizer } = this.#runtime
    const positions = this.#positions
    const opening = openingOf(this.#messages)
    const rest = this.#messages.slice(opening.length)
    let transcript = this.#transcript
    if (this.#forgets) {
      const tokensOf = (shown: readonly ChatMessage[]): number =>
        tokenizer.encodeChat([...opening, ...shown, user], { tools }).length
      const room = Math.min(maxTokens, positions >> 2)
      const needed = forgettable(rest.slice(this.#forgotten), positions - room, tokensOf)
      if (needed > 0) {
        // To half of the context, so that the turns after this one find their beginning in the cache.
        this.#forgotten = forgettable(rest, positions >> 1, tokensOf)
        this.#transcript = transcript = undefined
      }
    }
    const turn = nextTurn(tokenizer, this.#shown(), transcript, user, tools)
    // The model may have cut its answers into more tokens than their rendering has.
    const isTooLong = this.#forgets && turn.ids.length >= positions
    return isTooLong ? { rendered: turn.rendered, ids: turn.rendered } : turn
  }

  async #answer(
    text: string,
    options: GenerateOptions,
    { signal, emit, isBehind }: GenerationScope,
  ): Promise<GenerateResult> {
    if (typeof text !== 'string') fail('text', 'a string', text)
    const runtime = this.#runtime
    const history = this.#messages
    const user: ChatMessage = { role: 'user', content: text }
    const positions = this.#positions
    const resolved = resolveOptions(options, runtime.facts.defaults)
    const { rendered, ids } = this.#promptOf(user, resolved.maxTokens, options.tools ?? this.#tools)
    checkRoom('the conversation', ids, positions, 'Reset it, or restore a shorter history.')

    const needed = Math.min(positions, ids.length + resolved.maxTokens)
    const guesser = openGuesser(runtime, resolved.speculation, needed)
    const sequence = runtime.newSequence({
      promptIds: ids,
      options: resolved,
      positions: needed,
      guesser,
      emit,
      isBehind,
      signal,
    })
    this.#messages = [...history, user]
    let result: GenerateResult | undefined
    try {
      ;[result] = await runtime.generate([sequence], options, signal)
    } finally {
      guesser?.dispose()
      this.#messages = history
    }
    if (result.finishReason === 'cancelled' && result.tokenIds.length === 0) return result
    this.#messages = [...history, user, { role: 'assistant', content: result.text }]
    this.#transcript = { rendered, ids: [...ids, ...this.#answerIds(sequence, result.text)] }
    return result
  }

  /** The ids that stand for the answer from now on. */
  #answerIds(sequence: Sequence, text: string): readonly number[] {
    // The text was cut before a stop string, which must not stay in the model's view either.
    return sequence.cutByStopString
      ? this.#runtime.tokenizer.encode(text, { addBos: false })
      : sequence.answerIds
  }

  #assertIdle(what: string): void {
    this.#assertUsable()
    if (this.#running !== undefined) {
      throw new UsageError(
        `Expected no answer to be in progress for ${what}, but one is. Wait for its result.`,
      )
    }
  }

  #assertUsable(): void {
    if (this.#disposed) {
      throw new UsageError('Expected a chat session in use, got one that was disposed.')
    }
  }
}
