/**
 * Vectors of texts: each text passes the model once, and the vector of its last token, after the final
 * norm, stands for the whole. Texts run side by side, each in a slot of one cache.
 */
import { checkFinite, isWhole, notComputed } from '../checks.ts'
import { ContextOverflowError, UsageError } from '../errors.ts'
import type { ModelConfig } from '../model/config/config.ts'
import { PassRows } from '../model/pass-rows.ts'
import { checkOptions, type OptionRules, SIGNAL } from '../option-checks.ts'
import type { TextTokenizer } from '../tokenizer/text-tokenizer.ts'
import type { EmbedOptions } from './language-model.ts'
import type { Runtime } from './schedule/runtime.ts'
import { type Placed, runByLength, type SlotWork } from './schedule/slots.ts'
import { inTurns } from './turns.ts'

/** A text on its way: where its vector goes, and its tokens. */
interface Item extends SlotWork {
  readonly at: number
  readonly ids: readonly number[]
  readonly positions: number
  /** Tokens that are in a pass already. */
  fed: number
  finished: boolean
}

/** Texts that run side by side, and positions that their cache has together, unless one needs more. */
const LIMITS = { slots: 32, positions: 8192 }

const EMBED_OPTIONS: OptionRules<EmbedOptions> = {
  dimensions: {
    expected: 'a whole number',
    holds: (value) => typeof value === 'number',
    also: ['truncate_dim', 'dim', 'size'],
  },
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
  const toItem = (text: string, at: number): Item => {
    const ids = encodeToEmbed(runtime.tokenizer, text, engine.config, `text ${at + 1}`)
    return { at, ids, positions: ids.length, fed: 0, finished: false }
  }
  const items = await inTurns(texts, toItem, options.signal)
  const vectors: Float32Array[] = texts.map(() => new Float32Array(0))
  await runtime.run(options.signal, (signal) =>
    runByLength(engine, items, LIMITS, async (cache, live) => {
      const { rows, ended } = planPass(live, engine.maxRows)
      await runtime.exclusively(signal, async () => {
        const found = await engine.vectors(cache, rows)
        for (const [i, { at }] of ended.entries()) {
          const vector = found.subarray(i * dim, i * dim + (options.dimensions ?? dim))
          vectors[at] = normalized(vector, at)
        }
      })
    }),
  )
  return vectors
}

/** The next rows of the texts, and those texts that end with them, whose vectors are asked for. */
function planPass(live: readonly Placed<Item>[], maxRows: number) {
  const rows = new PassRows(maxRows)
  const ended: Item[] = []
  for (const { slot, work: item } of live) {
    if (rows.room === 0) break
    item.fed = rows.fill(slot, item.ids, item.fed)
    item.finished = item.fed === item.ids.length
    if (!item.finished) continue
    rows.want()
    ended.push(item)
  }
  return { rows, ended }
}

/**
 * With the end token where the tokenizer says that texts have one: it is what sums a text up.
 *
 * @param what the text, for messages
 * @throws UsageError | ContextOverflowError
 */
export function encodeToEmbed(
  tokenizer: TextTokenizer,
  text: string,
  { contextLength }: Pick<ModelConfig, 'contextLength'>,
  what: string,
): readonly number[] {
  const ids = tokenizer.encode(text)
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
function normalized(vector: Float32Array, at: number): Float32Array {
  checkFinite(`numbers in the vector of text ${at + 1}`, vector)
  const length = Math.sqrt(vector.reduce((sum, v) => sum + v * v, 0))
  if (length === 0) throw notComputed(`a vector of text ${at + 1} with a direction`, 'only zeros')
  return vector.map((v) => v / length)
}
