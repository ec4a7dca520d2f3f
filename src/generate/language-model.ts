/// <reference lib="esnext.disposable" preserve="true" />
/**
 * The model as a program sees it: text in, text out. Made by `loadModel`. Projects whose target is older than
 * `using` get its types by the reference above.
 */
import type { ModelConfig } from '../model/config/config.ts'
import type { CacheStats } from '../model/engine.ts'
import type { FfnZeros } from '../model/ffn-zeros.ts'
import type { ImageReport } from '../model/weights/weight-images.ts'
import type {
  ChatMessage,
  GivenMessage,
  TextTokenizer,
  ToolDescription,
} from '../tokenizer/text-tokenizer.ts'
import type {
  BackendReport,
  GenerateOptions,
  GenerateResult,
  Generation,
  SamplingOptions,
} from './options.ts'
import type { SchedulerStats } from './schedule/schedule-statistics.ts'
import type { AnswerSchema, SchemaValue } from './schema/answer-schema.ts'

/** Text to continue, or a conversation to put through the model's chat template. */
export type Prompt = string | readonly GivenMessage[]

export interface BatchOptions extends GenerateOptions {
  /**
   * Most sequences that run side by side, each with its own part of the KV cache; the others wait.
   * At least 1; unset: 8.
   */
  readonly parallel?: number
  /** Answers to each prompt, 1 to 64, which compute it once; unset: 1. */
  readonly n?: number
}

/** Of several answers to one prompt. */
export interface AnswersOptions extends GenerateOptions {
  /** How many, 1 to 64. */
  readonly n: number
}

export interface EmbedOptions {
  /**
   * Keeps only so many numbers of each vector, and normalises those. For models trained for that
   * (Matryoshka representations, Kusupati et al. 2022). Unset: all.
   */
  readonly dimensions?: number
  /** As of a generation; unset: -1, so that answers go first. */
  readonly priority?: number
  /** Calls that name the same client share its part of the model. */
  readonly client?: string
  readonly signal?: AbortSignal
}

export interface ChatOptions {
  /** The system message that opens the conversation; unset: none, or the template's own. */
  readonly system?: string
  /** What was said before. */
  readonly messages?: readonly GivenMessage[]
  /** Tools that the model may call: see GenerateOptions. A turn may have others. Unset: none. */
  readonly tools?: readonly ToolDescription[]
  /**
   * What happens when the conversation outgrows the context. With true the oldest exchanges are left out of what
   * the model is shown, down to half of the context: before a turn, once an answer of `maxTokens`, or a quarter
   * of the context, does not fit any more, and while an answer is written that fills it. They stay in
   * {@link ChatSession.messages}. With false a turn that does not fit throws a ContextOverflowError, and an answer
   * ends where the context does. A message that does not fit alone fails either way. Unset: true.
   */
  readonly contextShift?: boolean
}

/**
 * A conversation that keeps its history. What it has computed stays in the model's cache until others want the
 * memory; then it is computed anew.
 */
export interface ChatSession {
  /** The whole conversation, what was forgotten included. */
  readonly messages: readonly ChatMessage[]
  /** So many messages behind the system message are not shown to the model any more. */
  readonly forgotten: number
  /**
   * Adds the user's message, streams the answer and adds that too. Only what is new since the last
   * turn is prefilled (`usage.cachedTokens` tells). A cancelled answer stays in the history as far
   * as it came. A turn that fails, or is cancelled before its first token, leaves the history as it
   * was. One turn at a time: a second one fails with a UsageError.
   */
  send(text: string, options?: GenerateOptions): Generation
  /**
   * The conversation and what was computed of it, to go on from in another process: see {@link loadState}.
   *
   * @throws UsageError while an answer is in progress; BackendError in a page that is not secure
   */
  saveState(): Promise<Uint8Array>
  /**
   * Goes on from a saved conversation, whoever saved it. Its messages count in any case; what was computed of
   * it only if this model, as it was loaded, computes the same: the report says why not.
   *
   * @throws FormatError if it is no saved conversation, or damaged; UsageError while an answer is in progress
   */
  loadState(bytes: Uint8Array): Promise<ChatStateReport>
  /** Replaces the history, e.g. by one that was saved. */
  restore(messages: readonly GivenMessage[]): void
  /** Forgets all but the system message. */
  reset(): void
  /**
   * Takes the last message of the user back, with all that came after it.
   *
   * @returns that message; undefined if there is none
   */
  undo(): string | undefined
  dispose(): void
}

/** What a saved state had. */
export interface StateReport {
  /** Tokens of its text. */
  readonly tokens: number
  /** Those of them, from the first on, that need not be computed again. */
  readonly cachedTokens: number
}

export interface ChatStateReport extends StateReport {
  /** Messages of the conversation. */
  readonly messages: number
  /** Why nothing of it is used but the messages; unset where it is. */
  readonly refused?: string
}

/** Bytes held, by purpose. */
export interface ModelMemory {
  readonly ternaryBytes: number
  readonly denseBytes: number
  readonly activationBytes: number
  readonly cacheBytesPerToken: number
  /** Where the weights came from; absent in browsers and where images are turned off. */
  readonly image?: ImageReport
}

/** What a model says of itself. */
export interface ModelFacts {
  readonly name: string
  readonly tokenizer: TextTokenizer
  readonly backend: BackendReport
  readonly memory: ModelMemory
  /**
   * Settles, and never fails, when the packed image of the weights is on the disk for the next start, or
   * will not be: it is written beside whatever the model does, and `dispose` waits for it. Absent where
   * images are turned off.
   */
  readonly imageKept?: Promise<ImageReport> | undefined
  readonly loadMs: number
  /** What unset sampling fields mean for this model. */
  readonly defaults: Readonly<Required<Omit<SamplingOptions, 'seed'>>>
  /** What the model's files say and was left out, a sentence each. */
  readonly warnings: readonly string[]
}

export interface LanguageModel extends ModelFacts, AsyncDisposable {
  readonly config: ModelConfig
  /** Positions that a text may have: the model's context, or fewer where memory for caches is less. */
  readonly contextLength: number
  /** With a schema that knows the type of its values, such as one of zod, the result's value has it. */
  generate<Schema extends AnswerSchema = AnswerSchema>(
    prompt: Prompt,
    options?: GenerateOptions & { readonly schema?: Schema; readonly n?: undefined },
  ): Generation<SchemaValue<Schema>>
  /**
   * Several answers to one prompt, which is computed once: each is a generation of its own, equal to one alone
   * with its seed, which is `seed` plus its place in the list.
   *
   * @throws UsageError for options that are out of their range
   */
  generate(prompt: Prompt, options: AnswersOptions): readonly Generation[]
  /**
   * All prompts in shared passes; each result equals what `generate` gives alone with its seed, which
   * is `seed` plus the result's place in the list. With `n` answers each, those of a prompt stand together.
   */
  generateBatch(
    prompts: readonly Prompt[],
    options?: BatchOptions,
  ): Promise<readonly GenerateResult[]>
  /** @throws UsageError */
  chat(options?: ChatOptions): ChatSession
  /**
   * One vector a text, of length one, so that the sum of products of two is their cosine: what the
   * model computes for the text's last token, after the final norm. Any decoder gives vectors; those
   * of models trained for it (BitNet-embedding) are near where texts mean the same.
   *
   * @throws UsageError | ContextOverflowError, or the signal's reason
   */
  embed(texts: readonly string[], options?: EmbedOptions): Promise<readonly Float32Array[]>
  /**
   * What is computed of a text, a conversation or tokens, and is still in the cache: for {@link loadState} of
   * another process.
   *
   * @throws UsageError; BackendError in a page that is not secure
   */
  saveState(of: Prompt | readonly number[]): Promise<Uint8Array>
  /**
   * Takes in what was saved, so that whatever begins with its tokens goes on from there; the results are the
   * same bits. Load only what you saved yourself: whoever made a file decides what the model sees of these tokens.
   *
   * @throws FormatError if it is no saved state, or damaged; UsageError if it is of another model, or of this
   *   one loaded in another way
   */
  loadState(bytes: Uint8Array): Promise<StateReport>
  /**
   * How much of each layer's feed-forward is exactly 0 for a text: the share of gates that are not positive, and
   * that of the int8 values that enter the down projection and are 0. It is what `sparse` leaves out.
   *
   * @throws UsageError for models whose activation is not relu² or whose weights are not ternary;
   *   ContextOverflowError, or the signal's reason
   */
  ffnZeros(text: string, options?: { readonly signal?: AbortSignal }): Promise<readonly FfnZeros[]>
  /** How busy the model is, and how its passes were filled. */
  stats(): SchedulerStats & { readonly cache: CacheStats }
  /** Frees the weights; running generations end as cancelled. */
  dispose(): Promise<void>
}
