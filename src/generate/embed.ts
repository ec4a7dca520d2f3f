/**
 * Vectors of texts: each text passes the model once, and the vector of its last token, after the final
 * norm, stands for the whole. Texts run side by side, each in a slot of one cache.
 */
import { isWhole } from '../checks.ts'
import { ContextOverflowError, UsageError } from '../errors.ts'
import type { RowBatch } from '../model/engine.ts'
import { padToTile } from '../ternary/index.ts'
import type { EmbedOptions } from './language-model.ts'
import type { Runtime } from './schedule/runtime.ts'

/** A text on its way: where its vector goes, and its tokens. */
interface Item {
  readonly at: number
  readonly ids: readonly number[]
}

/** Texts that run side by side, and positions that their cache has together, unless one needs more. */
const MAX_SLOTS = 32
const MAX_POSITIONS = 8192

/** @throws UsageError */
export function validateEmbedding(
  texts: readonly string[],
  options: EmbedOptions,
  dim: number,
): void {
  if (!Array.isArray(texts) || texts.some((text) => typeof text !== 'string')) {
    throw new UsageError('Expected texts to be a list of strings. Put a single text into a list.')
  }
  const { dimensions = dim } = options
  if (isWhole(dimensions, 1, dim)) return
  throw new UsageError(
    `Expected dimensions to be a whole number from 1 to ${dim}, the length of this model's ` +
      `vectors, got ${dimensions}.`,
  )
}

/** One vector a text, of length one; (dimensions) each. */
export async function embedTexts(
  runtime: Runtime,
  texts: readonly string[],
  options: EmbedOptions,
  signal: AbortSignal,
): Promise<Float32Array[]> {
  const { dim } = runtime.engine.config
  const items = texts.map((text, at) => ({ at, ids: encodeText(runtime, text, at) }))
  const vectors: Float32Array[] = texts.map(() => new Float32Array(0))
  // Neighbours of like length waste little of a cache that has room for the longest.
  items.sort((a, b) => b.ids.length - a.ids.length)
  for (let from = 0; from < items.length; ) {
    const capacity = padToTile(items[from].ids.length)
    const slots = Math.min(MAX_SLOTS, Math.max(1, Math.floor(MAX_POSITIONS / capacity)))
    const group = items.slice(from, from + slots)
    await embedGroup(runtime, group, capacity, signal, (item, vector) => {
      vectors[item.at] = normalized(vector.subarray(0, options.dimensions ?? dim))
    })
    from += group.length
  }
  return vectors
}

/** With the end token where the tokenizer says that texts have one: it is what sums a text up. */
function encodeText({ tokenizer, engine }: Runtime, text: string, at: number): readonly number[] {
  const ids = tokenizer.encode(text)
  const { endId } = tokenizer
  if (endId !== undefined && ids.at(-1) !== endId) ids.push(endId)
  if (ids.length === 0) {
    throw new UsageError(
      `Expected text ${at + 1} to have a token, got an empty text. Leave it out.`,
    )
  }
  const { contextLength } = engine.config
  if (ids.length <= contextLength) return ids
  throw new ContextOverflowError(
    `Expected text ${at + 1} to fit a context of ${contextLength} tokens, got ${ids.length}. ` +
      'Cut it into parts.',
    { needed: ids.length, available: contextLength },
  )
}

/** Passes of as many rows as the engine takes, through all texts of a group. */
async function embedGroup(
  { engine, lock }: Runtime,
  group: readonly Item[],
  capacity: number,
  signal: AbortSignal,
  done: (item: Item, vector: Float32Array) => void,
): Promise<void> {
  const { dim } = engine.config
  const rows = group.flatMap(({ ids }, slot) =>
    ids.map((token, position) => ({ token, slot, position, isLast: position === ids.length - 1 })),
  )
  const cache = engine.createCache({ slots: group.length, capacity })
  try {
    for (let from = 0; from < rows.length; from += engine.maxRows) {
      const piece = rows.slice(from, from + engine.maxRows)
      const last = [...piece.keys()].filter((row) => piece[row].isLast)
      const batch: RowBatch = {
        tokens: piece.map(({ token }) => token),
        slots: piece.map(({ slot }) => slot),
        positions: piece.map(({ position }) => position),
        logitRows: last,
      }
      await lock.run(signal, async () => {
        const vectors = await engine.vectors(cache, batch)
        for (const [i, row] of last.entries()) {
          done(group[piece[row].slot], vectors.subarray(i * dim, (i + 1) * dim))
        }
      })
      signal.throwIfAborted()
    }
  } finally {
    cache.dispose()
  }
}

/** A copy of length one; zeros stay zeros. */
function normalized(vector: Float32Array): Float32Array {
  const length = Math.sqrt(vector.reduce((sum, v) => sum + v * v, 0))
  return length === 0 ? vector.slice() : vector.map((v) => v / length)
}
