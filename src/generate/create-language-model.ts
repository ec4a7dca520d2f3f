/**
 * Puts an engine and a tokenizer together into what a program uses.
 */

import type { ModelConfig } from '../model/config/config.ts'
import type { DecodeEngine } from '../model/engine.ts'
import type { ImageReport } from '../model/weights/weight-images.ts'
import type { ChatMessage, TextTokenizer } from '../tokenizer/text-tokenizer.ts'
import { CachedChatSession } from './chat/chat-session.ts'
import { embedTexts, validateEmbedding } from './embed.ts'
import { runSequences } from './generate.ts'
import type {
  BatchOptions,
  ChatSession,
  EmbedOptions,
  LanguageModel,
  ModelMemory,
  Prompt,
} from './language-model.ts'
import type { BackendReport, GenerateOptions, GenerateResult, Generation } from './options.ts'
import { checkRoom, encodePrompt } from './prompt.ts'
import { generateBatch, validateBatchOptions } from './schedule/batch.ts'
import { Runtime } from './schedule/runtime.ts'
import { openGuesser } from './speculate/open-guesser.ts'
import { resolveOptions, type SamplingSettings } from './validate-options.ts'

interface LanguageModelParts {
  readonly name: string
  readonly engine: DecodeEngine
  readonly tokenizer: TextTokenizer
  readonly backend: BackendReport
  readonly memory: ModelMemory
  /** See {@link LanguageModel}. */
  readonly imageKept?: Promise<ImageReport> | undefined
  readonly loadMs: number
  /** What unset sampling fields mean for this model. */
  readonly defaults: SamplingSettings
  /** Frees the weights and the backend; called once, after everything that ran has ended. */
  readonly dispose: () => void | Promise<void>
}

/** A language model of the parts. The engine must not be used by anyone else. */
export function createLanguageModel(parts: LanguageModelParts): LanguageModel {
  return new AssembledModel(parts)
}

class AssembledModel implements LanguageModel {
  readonly name: string
  readonly config: ModelConfig
  readonly tokenizer: TextTokenizer
  readonly backend: BackendReport
  readonly memory: ModelMemory
  readonly imageKept: Promise<ImageReport> | undefined
  readonly loadMs: number
  readonly defaults: SamplingSettings
  readonly #runtime: Runtime
  readonly #free: () => void | Promise<void>
  #disposal: Promise<void> | undefined

  constructor(parts: LanguageModelParts) {
    this.name = parts.name
    this.config = parts.engine.config
    this.tokenizer = parts.tokenizer
    this.backend = parts.backend
    this.memory = parts.memory
    this.imageKept = parts.imageKept
    this.loadMs = parts.loadMs
    this.defaults = parts.defaults
    this.#runtime = new Runtime(parts)
    this.#runtime.serve(this)
    this.#free = parts.dispose
  }

  generate(prompt: Prompt, options: GenerateOptions = {}): Generation {
    const runtime = this.#runtime
    return runtime.start(options, async ({ signal, emit }) => {
      const resolved = resolveOptions(options, this.defaults)
      const promptIds = encodePrompt(this.tokenizer, prompt)
      const { contextLength } = this.config
      checkRoom('the prompt', promptIds, contextLength)
      const positions = Math.min(contextLength, promptIds.length + resolved.maxTokens)
      const guesser = openGuesser(runtime, resolved.speculation, positions)
      try {
        const facts = { promptIds, options: resolved, positions, guesser, emit }
        const sequence = runtime.newSequence(facts)
        await runtime.withCache(positions, (cache) =>
          runSequences(runtime, cache, [sequence], signal),
        )
        return runtime.resultOf(sequence)
      } finally {
        guesser?.dispose()
      }
    })
  }

  async generateBatch(
    prompts: readonly Prompt[],
    options: BatchOptions = {},
  ): Promise<readonly GenerateResult[]> {
    const runtime = this.#runtime
    runtime.assertUsable()
    validateBatchOptions(options)
    const controller = new AbortController()
    const cancel = () => controller.abort()
    const { signal } = options
    if (signal?.aborted) cancel()
    signal?.addEventListener('abort', cancel, { once: true })
    try {
      const work = generateBatch(runtime, prompts, options, controller.signal)
      return await runtime.track(work, cancel)
    } finally {
      signal?.removeEventListener('abort', cancel)
    }
  }

  async embed(
    texts: readonly string[],
    options: EmbedOptions = {},
  ): Promise<readonly Float32Array[]> {
    const runtime = this.#runtime
    runtime.assertUsable()
    validateEmbedding(texts, options, this.config.dim)
    const ended = new AbortController()
    const signal = options.signal ? AbortSignal.any([options.signal, ended.signal]) : ended.signal
    signal.throwIfAborted()
    return runtime.track(embedTexts(runtime, texts, options, signal), () => ended.abort())
  }

  chat(options: { system?: string; messages?: readonly ChatMessage[] } = {}): ChatSession {
    this.#runtime.assertUsable()
    return new CachedChatSession(this.#runtime, options)
  }

  dispose(): Promise<void> {
    this.#disposal ??= this.#runtime.dispose().then(() => this.#free())
    return this.#disposal
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.dispose()
  }
}
