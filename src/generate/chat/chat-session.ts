/**
 * A conversation with a cache of its own: each turn computes only what the cache does not hold yet.
 */
import { UsageError } from '../../errors.ts'
import type { KvCache } from '../../model/engine.ts'
import { padToTile } from '../../ternary/index.ts'
import type { ChatMessage } from '../../tokenizer/text-tokenizer.ts'
import type { GenerationScope } from '../generation-stream.ts'
import type { ChatSession } from '../language-model.ts'
import type { GenerateOptions, GenerateResult, Generation } from '../options.ts'
import { checkRoom, validateMessages } from '../prompt.ts'
import { runSequences } from '../schedule/run-sequences.ts'
import type { Runtime } from '../schedule/runtime.ts'
import type { Sequence } from '../schedule/sequence.ts'
import { openGuesser } from '../speculate/open-guesser.ts'
import type { Guesser } from '../speculate/speculation.ts'
import { fail, resolveOptions } from '../validate-options.ts'
import { commonLength, nextTurn, type Transcript } from './chat-prompt.ts'

/**
 * Most positions of a session's cache. Backends commit memory as it is used, so up to here the whole
 * context is reserved; beyond, models with contexts of 128k would reserve gigabytes per session.
 */
const MAX_POSITIONS = 8192

export class CachedChatSession implements ChatSession {
  readonly #runtime: Runtime
  readonly #disown: () => void
  readonly #positions: number
  #messages: readonly ChatMessage[]
  /** Made for the first turn. */
  #cache: KvCache | undefined
  /** The tokens whose keys and values lie at the cache's first positions. */
  #cachedIds: readonly number[] = []
  /** The one of the last turn: a draft model's cache serves the next turn too. */
  #guesser: Guesser | undefined
  /** Set if the last message is an answer of this session. */
  #transcript: Transcript | undefined
  #running: GenerationScope | undefined
  #disposed = false

  /** @throws UsageError if `messages` has a system message although `system` is given */
  constructor(
    runtime: Runtime,
    options: { readonly system?: string; readonly messages?: readonly ChatMessage[] },
  ) {
    const { system, messages = [] } = options
    validateMessages('messages', messages)
    if (system !== undefined && typeof system !== 'string') fail('system', 'a string', system)
    if (system !== undefined && messages.some((message) => message.role === 'system')) {
      throw new UsageError(
        'Expected one system message, got one as `system` and one in `messages`. Leave one out.',
      )
    }
    const opening: ChatMessage[] = system === undefined ? [] : [{ role: 'system', content: system }]
    this.#messages = [...opening, ...messages]
    this.#runtime = runtime
    this.#positions = Math.min(runtime.engine.config.contextLength, MAX_POSITIONS)
    this.#disown = runtime.own(this)
  }

  get messages(): readonly ChatMessage[] {
    return this.#messages
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
        if (this.#disposed) this.#free()
      }
    })
  }

  restore(messages: readonly ChatMessage[]): void {
    validateMessages('messages', messages)
    this.#assertIdle('restore')
    this.#messages = [...messages]
    this.#transcript = undefined
  }

  reset(): void {
    this.#assertIdle('reset')
    this.#messages = this.#messages.filter((message) => message.role === 'system')
    this.#transcript = undefined
  }

  dispose(): void {
    if (this.#disposed) return
    this.#disposed = true
    if (this.#running === undefined) this.#free()
    else this.#running.cancel() // the turn frees the cache when no pass uses it any more
  }

  async #answer(
    text: string,
    options: GenerateOptions,
    { signal, emit }: GenerationScope,
  ): Promise<GenerateResult> {
    if (typeof text !== 'string') fail('text', 'a string', text)
    const runtime = this.#runtime
    const history = this.#messages
    const user: ChatMessage = { role: 'user', content: text }
    const { rendered, ids } = nextTurn(runtime.tokenizer, history, this.#transcript, user)
    const positions = this.#positions
    checkRoom('the conversation', ids, positions, 'Reset it, or restore a shorter history.')

    this.#cache ??= runtime.engine.createCache({ slots: 1, capacity: padToTile(positions) })
    const resolved = resolveOptions(options, runtime.facts.defaults)
    this.#guesser = openGuesser(runtime, resolved.speculation, positions, this.#guesser)
    const sequence = runtime.newSequence({
      promptIds: ids,
      // The last token is always computed: its logits give the first token of the answer.
      cachedTokens: Math.min(commonLength(this.#cachedIds, ids), ids.length - 1),
      options: resolved,
      positions,
      guesser: this.#guesser,
      emit,
    })
    this.#messages = [...history, user]
    let result: GenerateResult | undefined
    try {
      await runSequences(runtime, this.#cache, [sequence], signal)
      result = runtime.resultOf(sequence)
    } finally {
      this.#cachedIds = sequence.tokens.slice(0, sequence.fed)
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

  #free(): void {
    this.#disown()
    this.#guesser?.dispose()
    this.#guesser = undefined
    this.#cache?.dispose()
    this.#cache = undefined
    this.#cachedIds = []
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
