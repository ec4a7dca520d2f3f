/**
 * What a caller may ask of a generation and what comes back. The command line's `--json` prints a
 * {@link GenerateResult} as it is.
 */

import type { ModelConfig } from '../model/config/config.ts'
import type { TextTokenizer, ToolDescription } from '../tokenizer/text-tokenizer.ts'
import type { AnswerSchema } from './schema/answer-schema.ts'

/** How the next token is drawn. Unset fields take the model's own defaults. */
export interface SamplingOptions {
  /** 0 is greedy: the most likely token, the first of equals. At least 0. */
  readonly temperature?: number
  /** Keep the k most likely tokens; 0 keeps all. */
  readonly topK?: number
  /** Keep the smallest set of tokens whose probabilities reach p; (0, 1], 1 keeps all. */
  readonly topP?: number
  /** Keep tokens at least this fraction as likely as the most likely one; [0, 1), 0 keeps all. */
  readonly minP?: number
  /** Divides positive and multiplies negative logits of tokens seen so far (Keskar et al. 2019). */
  readonly repetitionPenalty?: number
  /** Subtracted once per earlier occurrence in the answer. */
  readonly frequencyPenalty?: number
  /** Subtracted once if the token occurs in the answer. */
  readonly presencePenalty?: number
  /** Equal seeds give equal text on the same model and options; unset draws a fresh one. */
  readonly seed?: number
}

/** A model that guesses tokens for another one; every model that `loadModel` gives can. */
export interface DraftModel {
  readonly name: string
  readonly config: ModelConfig
  readonly tokenizer: TextTokenizer
}

export interface SpeculationOptions {
  /** Most tokens guessed for one pass, 1 to 64; unset: 16. Fewer are when guesses turn out wrong. */
  readonly maxTokens?: number
}

export interface GenerateOptions extends SamplingOptions {
  /** Most tokens to generate; at least 1. Unset: 256, or what the context leaves. */
  readonly maxTokens?: number
  /** Generation ends before any of these strings; names of special tokens in them count, though no text has them. */
  readonly stop?: readonly string[]
  /** Generation ends at any of these tokens, too, which are then no part of the answer. */
  readonly stopTokens?: readonly number[]
  /** Added to the logits of tokens, by their ids; -Infinity forbids one. */
  readonly logitBias?: Readonly<Record<number, number>>
  /**
   * Goes on where the context is full: the prompt stays, the older half of what was generated is dropped, and
   * the rest is computed again, as if nothing else had been there. In a chat the system message stays and the
   * oldest exchanges are dropped. Unset: the answer ends there, but in a chat it goes on as ChatOptions says.
   */
  readonly contextShift?: boolean
  /**
   * Guesses the next tokens from repetitions in the text so far and checks them all in one pass
   * (prompt lookup). The text is the same as without, and comes faster where it repeats itself.
   * Unset: false.
   */
  readonly speculate?: boolean | SpeculationOptions
  /**
   * A smaller model with the same vocabulary, which guesses in place of prompt lookup unless
   * `speculate` is false. The text is the same as without. Not for batches.
   */
  readonly draft?: DraftModel
  /**
   * Also give how likely the model held each token of the answer, and so many of the likeliest tokens in
   * its place; 0 to 20. Unset: none of it.
   */
  readonly logprobs?: number
  /** Among all that the model does at once, higher goes first; a whole number, unset: 0. */
  readonly priority?: number
  /**
   * Milliseconds from the call on after which the answer is of no use: it is cancelled then, as far as it
   * came. Of equal priority what has to be done sooner goes first.
   */
  readonly deadline?: number
  /** Calls that name the same client share its part of the model; unset: each call has a part of its own. */
  readonly client?: string
  /**
   * Tools that the model may call, for the chat template of a conversation, as transformers and OpenAI describe
   * them. A call is text of the answer, in the model's own form. Unset: those of the chat, or none.
   */
  readonly tools?: readonly ToolDescription[]
  /**
   * What the answer shall be: JSON that is valid by this schema, a JSON Schema or one of zod. Only tokens are
   * drawn that lead to such an answer, which ends before `maxTokens` are used up; {@link GenerateResult.value}
   * has what it says. docs/structured-output.md has what of JSON Schema is held. Unset: any text.
   */
  readonly schema?: AnswerSchema
  /**
   * Beside `schema`: the answer may be any text instead, which begins with neither a brace nor a space, as where
   * a model may call a tool or say something. Unset: false.
   */
  readonly orText?: boolean
  readonly signal?: AbortSignal
}

/** `stop`: an end token or a stop string; `length`: maxTokens or the context's end. */
export type FinishReason = 'stop' | 'length' | 'cancelled'

export interface Usage {
  readonly promptTokens: number
  readonly completionTokens: number
  readonly totalTokens: number
  /** Prompt tokens whose keys and values were already in the cache. */
  readonly cachedTokens: number
}

export interface Timings {
  /** Time the model took to load, once per model. */
  readonly loadMs: number
  readonly prefillMs: number
  readonly decodeMs: number
  /** Prompt tokens computed per second of prefill; 0 if there were none. */
  readonly prefillTokensPerSecond: number
  /** Tokens per second after the first one; 0 if there was only one. */
  readonly decodeTokensPerSecond: number
}

/** What guessing did for an answer. */
export interface SpeculationReport {
  /** Tokens that were guessed and checked. */
  readonly proposed: number
  /** Guesses that the model agreed with. */
  readonly accepted: number
  /** `accepted` of `proposed`; 0 if there were none. */
  readonly acceptanceRate: number
  /** Passes that gave tokens of the answer; without guesses each gives one. */
  readonly passes: number
}

/** Which code really ran. */
export interface BackendReport {
  readonly name: string
  readonly isa: string
  readonly threads: number
  readonly description: string
  /** Whether this start packed the weights of the model's file or mapped their packed image. */
  readonly weightsFrom?: 'file' | 'image'
}

/** A token, and the natural logarithm of the probability that the model itself gives it. */
export interface TokenProbability {
  readonly id: number
  /** Its text as far as it can be shown alone: a token may hold a part of a character. */
  readonly token: string
  /** Before penalties, temperature, top-k, top-p and min-p. */
  readonly logprob: number
}

/** A token of the answer, and what the model held likeliest in its place. */
export interface TokenLogprobs extends TokenProbability {
  /** The likeliest first; as many as were asked for. */
  readonly top: readonly TokenProbability[]
}

export interface GenerateResult<Value = unknown> {
  readonly text: string
  /**
   * What the answer says, where a schema was given. Absent if the answer was cut, or if the schema checks more
   * than its JSON Schema says (zod's `refine`) and refuses it.
   */
  readonly value?: Value
  /** Generated ids, without the end token. */
  readonly tokenIds: readonly number[]
  readonly promptTokenIds: readonly number[]
  /** First tokens of the answer that a full context had no more room for while it went on; absent if none. */
  readonly droppedTokens?: number
  /** One for each of `tokenIds`; absent unless they were asked for. */
  readonly logprobs?: readonly TokenLogprobs[]
  readonly finishReason: FinishReason
  readonly usage: Usage
  readonly timings: Timings
  readonly backend: BackendReport
  /** The seed that was used, for repeating the text. */
  readonly seed: number
  /** Absent where nothing was asked to guess. */
  readonly speculation?: SpeculationReport
}

/** A token of an answer as it comes. */
export interface TokenEvent {
  /** Absent where text comes alone that was held back until the answer ended. */
  readonly id?: number
  /** What the answer grew by: nothing where a character is not whole yet, or may belong to a stop string. */
  readonly text: string
  /** How likely the token was, and what was likeliest in its place, where that was asked for. */
  readonly logprobs?: TokenLogprobs
}

/**
 * Text pieces as they come; `result` settles when the last one has come. Whoever reads slowly slows the
 * generation down: it waits while much is unread, unless `result` is waited for as well.
 */
export interface Generation<Value = unknown> extends AsyncIterable<string> {
  /** The same reading by tokens. A generation is read once, by texts or by tokens. */
  tokens(): AsyncIterable<TokenEvent>
  readonly result: Promise<GenerateResult<Value>>
}
