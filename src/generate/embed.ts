/**
 * Vectors of texts: each text passes the model once, and the vector of its last token, after the final
 * norm, stands for the whole.
 */
import { checkFinite, isWhole, notComputed } from '../checks.ts'
import { ContextOverflowError, UsageError } from '../errors.ts'
import { checkOptions, type OptionRules, SIGNAL } from '../option-checks.ts'
import type { Steps } from '../steps.ts'
import type { TextTokenizer } from '../tokenizer/text-tokenizer.ts'
import { inTurns } from '../turns.ts'
import type { EmbedOptions } from './language-model.ts'
import { BACKGROUND_PRIORITY } from './schedule/call.ts'
import type { Job, JobResults } from './schedule/job.ts'
import type { Runtime } from './schedule/runtime.ts'
import { GENERATE_OPTIONS } from './validate-options.ts'

/** Texts that run side by side. */
const MAX_PARALLEL = 32

const EMBED_OPTIONS: OptionRules<EmbedOptions> = {
  dimensions: {
    expected: 'a whole number',
    holds: (value) => typeof value === 'number',
    also: ['truncate_dim', 'dim', 'size'],
  },
  priority: GENERATE_OPTIONS.priority,
  client: GENERATE_OPTIONS.client,
  signal: SIGNAL,
}

/** @throws UsageError */
function validateEmbedding(texts: readonly string[], options: EmbedOptions, dim: number): void {
  if (!Array.isArray(texts) || texts.some((text) => typeof text !== 'string')) {
    throw new UsageError('Expected texts to be a list of strings. Put a single text into a list.')
  }
  checkOptions('embed', options, EMBED_OPTIONS)
  const { dimensions = dim } = options
  if (isWhole(dimensions, 1, dim)) return
  throw new UsageError(
    `Expected dimensions to be a whole number from 1 to ${dim}, the length of this model's ` +
      `vectors, got ${dimensions}.`,
  )
}

/**
 * One vector a text, of length one; (dimensions) each.
 *
 * @throws UsageError | ContextOverflowError, BackendError for a vector without a direction, or the
 *   signal's reason
 */
export async function embedTexts(
  runtime: Runtime,
  texts: readonly string[],
  options: EmbedOptions,
): Promise<readonly Float32Array[]> {
  runtime.assertUsable()
  const { engine } = runtime
  const { dim } = engine.config
  validateEmbedding(texts, options, dim)
  options.signal?.throwIfAborted()
  const dimensions = options.dimensions ?? dim
  function* jobOf(text: string, at: number): Steps<EmbedJob> {
    const what = `text ${at + 1}`
    const ids = yield* encodeToEmbed(runtime.tokenizer, text, runtime, what)
    return new EmbedJob(ids, what, dimensions)
  }
  const jobs = await inTurns(texts, jobOf, options.signal)
  await runtime.run(options.signal, async (signal) => {
    // Long texts first: what is left for the end is short, and few passes are nearly empty.
    const order = jobs.toSorted((a, b) => b.positions - a.positions)
    const { priority = BACKGROUND_PRIORITY, client } = options
    await runtime.scheduler.run(order, { signal, priority, client, limit: MAX_PARALLEL })
    signal.throwIfAborted()
  })
  return jobs.map(({ vector }) => vector)
}

/** A text on its way to its vector. */
class EmbedJob implements Job {
  readonly kind = 'vectors'
  readonly tokens: readonly number[]
  readonly positions: number
  readonly isReady = true
  fed = 0
  vector = new Float32Array(0)
  readonly #what: string
  readonly #dimensions: number

  constructor(tokens: readonly number[], what: string, dimensions: number) {
    this.tokens = tokens
    this.positions = tokens.length
    this.#what = what
    this.#dimensions = dimensions
  }

  get finished(): boolean {
    return this.vector.length > 0
  }

  begin(cached: number): void {
    this.fed = Math.min(cached, this.tokens.length - 1)
  }

  wants(position: number): boolean {
    return position === this.tokens.length - 1
  }

  accept({ vectors }: JobResults): void {
    if (vectors.length === 0) return
    this.vector = normalized(vectors.subarray(0, this.#dimensions), this.#what)
  }
}

/**
 * With the end token where the tokenizer says that texts have one: it is what sums a text up.
 *
 * @param what the text, for messages
 * @throws UsageError | ContextOverflowError
 */
export function* encodeToEmbed(
  tokenizer: TextTokenizer,
  text: string,
  { contextLength }: Pick<Runtime, 'contextLength'>,
  what: string,
): Steps<readonly number[]> {
  const ids = yield* tokenizer.encodeSteps(text)
  const { endId } = tokenizer
  if (endId !== undefined && ids.at(-1) !== endId) ids.push(endId)
  if (ids.length === 0) {
    throw new UsageError(`Expected ${what} to have a token, got an empty text. Leave it out.`)
  }
  if (ids.length <= contextLength) return ids
  throw new ContextOverflowError(
    `Expected ${what} to fit a context of ${contextLength} tokens, got ${ids.length}. ` +
      'Cut it into parts.',
    { needed: ids.length, available: contextLength },
  )
}

/** A copy of length one. @throws BackendError for NaN, and for zeros, which have no direction */
function normalized(vector: Float32Array, what: string): Float32Array<ArrayBuffer> {
  checkFinite(`numbers in the vector of ${what}`, vector)
  const length = Math.sqrt(vector.reduce((sum, v) => sum + v * v, 0))
  if (length === 0) throw notComputed(`a vector of ${what} with a direction`, 'only zeros')
  return Float32Array.from(vector, (v) => v / length)
}
