/**
 * What a caller may ask of a generation and what comes back. The command line's `--json` prints a
 * {@link GenerateResult} as it is.
 */

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

export interface GenerateOptions extends SamplingOptions {
  /** Most tokens to generate; at least 1. Unset: 256, or what the context leaves. */
  readonly maxTokens?: number
  /** Generation ends before any of these strings. */
  readonly stop?: readonly string[]
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

/** Which code really ran. */
export interface BackendReport {
  readonly name: string
  readonly isa: string
  readonly threads: number
  readonly description: string
}

export interface GenerateResult {
  readonly text: string
  /** Generated ids, without the end token. */
  readonly tokenIds: readonly number[]
  readonly promptTokenIds: readonly number[]
  readonly finishReason: FinishReason
  readonly usage: Usage
  readonly timings: Timings
  readonly backend: BackendReport
  /** The seed that was used, for repeating the text. */
  readonly seed: number
}

/** Text pieces as they come; `result` settles when the last one has come. */
export interface Generation extends AsyncIterable<string> {
  readonly result: Promise<GenerateResult>
}
