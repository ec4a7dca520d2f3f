/**
 * A conversation: each turn computes only what is not computed yet.
 */
import { ContextOverflowError, UsageError } from '../../errors.ts'
import { checkOptions, fail, type OptionRules, SWITCH, TOOLS } from '../../option-checks.ts'
import type { ChatMessage, GivenMessage, ToolDescription } from '../../tokenizer/text-tokenizer.ts'
import type { GenerationScope } from '../generation-stream.ts'
import type { ChatOptions, ChatSession, ChatStateReport } from '../language-model.ts'
import type { GenerateOptions, GenerateResult, Generation } from '../options.ts'
import { checkMessages, checkRoom } from '../prompt.ts'
import { answerBehind } from '../schedule/context-shift.ts'
import type { Runtime } from '../schedule/runtime.ts'
import type { FullContext, Sequence } from '../schedule/sequence.ts'
import { openGuesser } from '../speculate/open-guesser.ts'
import { openState, saveTokens, takeTokens } from '../state/prompt-state.ts'
import { resolveOptions } from '../validate-options.ts'
import { type ChatNote, chatNoteOf } from './chat-note.ts'
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
  contextShift: { ...SWITCH, also: ['context_shift', 'truncation', 'overflow', 'on_overflow'] },
}

interface Turn {
  readonly user: ChatMessage
  readonly tools: readonly ToolDescription[] | undefined
  /** Messages before it. */
  readonly history: readonly ChatMessage[]
  /** Whether a full context drops the oldest of them. */
  readonly shifts: boolean
}

export class CachedChatSession implements ChatSession {
  readonly #runtime: Runtime
  readonly #disown: () => void
  readonly #positions: number
  readonly #shifts: boolean
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
    const { system, tools, contextShift = true } = options
    const messages = checkMessages('messages', options.messages ?? [])
    if (system !== undefined && messages.some((message) => message.role === 'system')) {
      throw new UsageError(
        'Expected one system message, got one as `system` and one in `messages`. Leave one out.',
      )
    }
    const opening: ChatMessage[] = system === undefined ? [] : [{ role: 'system', content: system }]
    this.#messages = [...opening, ...messages]
    this.#runtime = runtime
    this.#shifts = contextShift
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

  async saveState(): Promise<Uint8Array> {
    this.#assertIdle('saveState')
    const transcript = this.#transcript
    const note: ChatNote = {
      messages: this.#messages,
      forgotten: this.#forgotten,
      ...(transcript && { rendered: transcript.rendered }),
    }
    return saveTokens(this.#runtime, transcript?.ids ?? this.#begun(), { chat: note })
  }

  async loadState(bytes: Uint8Array): Promise<ChatStateReport> {
    this.#assertIdle('loadState')
    const state = await openState(this.#runtime, bytes)
    const { messages, forgotten, rendered } = chatNoteOf(state)
    let refused: string | undefined
    try {
      await takeTokens(this.#runtime, state)
    } catch (error) {
      if (!(error instanceof UsageError || error instanceof ContextOverflowError)) throw error
      refused = error.message
    }
    this.#assertIdle('loadState')
    this.#show(messages)
    const tokens = state.tokens.length
    const report = { messages: messages.length, tokens }
    if (refused !== undefined) return { ...report, cachedTokens: 0, refused }
    this.#forgotten = forgotten
    this.#transcript = rendered && { rendered, ids: Array.from(state.tokens) }
    return { ...report, cachedTokens: state.computed }
  }

  restore(messages: readonly GivenMessage[]): void {
    const checked = checkMessages('messages', messages)
    this.#assertIdle('restore')
    this.#show(checked)
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

  /** Tokens of the history, where no answer of this session ends it. */
  #begun(): readonly number[] {
    const shown = this.#shown()
    if (shown.length === 0) return []
    return this.#runtime.tokenizer.encodeChat(shown, {
      addGenerationPrompt: false,
      tools: this.#tools,
    })
  }

  /** Messages that the model is shown. */
  #shown(history = this.#messages): readonly ChatMessage[] {
    const opening = openingOf(history)
    return [...opening, ...history.slice(opening.length + this.#forgotten)]
  }

  /** How many messages to leave out of these, so that the others fit with a turn's message. */
  #forgettable(rest: readonly ChatMessage[], limit: number, { user, tools }: Turn): number {
    const opening = openingOf(this.#messages)
    return forgettable(
      rest,
      limit,
      (shown) => this.#runtime.tokenizer.encodeChat([...opening, ...shown, user], { tools }).length,
    )
  }

  /** The prompt of a turn; leaves out the oldest exchanges where that is asked for and needed. */
  #promptOf(turn: Turn, maxTokens: number): Transcript {
    const { tokenizer } = this.#runtime
    const { user, tools, history, shifts } = turn
    const positions = this.#positions
    if (shifts) {
      const rest = history.slice(openingOf(history).length)
      const room = Math.min(maxTokens, positions >> 2)
      const shown = rest.slice(this.#forgotten)
      if (this.#forgettable(shown, positions - room, turn) > 0) {
        // To half of the context, so that the turns after this one find their beginning in the cache.
        this.#forgotten = this.#forgettable(rest, positions >> 1, turn)
        this.#transcript = undefined
      }
    }
    const next = nextTurn(tokenizer, this.#shown(history), this.#transcript, user, tools)
    // The model may have cut its answers into more tokens than their rendering has.
    const isTooLong = shifts && next.ids.length >= positions
    return isTooLong ? { rendered: next.rendered, ids: next.rendered } : next
  }

  /** Where the context is full while an answer is written: fewer exchanges, and the answer's end if need be. */
  #shift(full: FullContext, turn: Turn): FullContext & { readonly rendered: readonly number[] } {
    const { tokenizer } = this.#runtime
    const { user, tools, history } = turn
    const rest = history.slice(openingOf(history).length)
    const answered = full.tokens.length - full.answerStart
    const limit = Math.max(0, (this.#positions >> 1) - answered)
    this.#forgotten = Math.max(this.#forgotten, this.#forgettable(rest, limit, turn))
    const { rendered } = nextTurn(tokenizer, this.#shown(history), undefined, user, tools)
    return { ...answerBehind(rendered, full, this.#positions), rendered }
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
    const tools = options.tools ?? this.#tools
    const turn: Turn = { user, tools, history, shifts: options.contextShift ?? this.#shifts }
    let { rendered, ids } = this.#promptOf(turn, resolved.maxTokens)
    checkRoom('the conversation', ids, positions, 'Reset it, or restore a shorter history.')

    const needed = Math.min(positions, ids.length + resolved.maxTokens)
    const guesser = openGuesser(runtime, resolved.speculation, needed)
    const shift = (full: FullContext): FullContext => {
      const { rendered: shown, ...shifted } = this.#shift(full, turn)
      rendered = ids = shown
      return shifted
    }
    const sequence = runtime.newSequence({
      promptIds: ids,
      options: resolved,
      positions: needed,
      guesser,
      emit,
      isBehind,
      signal,
      ...(turn.shifts && { shift }),
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
    const answer = this.#answerIds(sequence, result.text)
    this.#transcript = answer && { rendered, ids: [...ids, ...answer] }
    return result
  }

  /** The ids that stand for the answer from now on; undefined where only its text can. */
  #answerIds(sequence: Sequence, text: string): readonly number[] | undefined {
    if (!sequence.cutByStopString) return sequence.shownIds
    // The text was cut before a stop string, which must not stay in the model's view either.
    if (sequence.isShifted) return undefined
    return this.#runtime.tokenizer.encode(text, { addBos: false })
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
