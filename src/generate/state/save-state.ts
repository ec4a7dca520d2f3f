/**
 * Saves what is computed of a text, and takes it back in. That a state is of this model, loaded in this way, is
 * found by computing: some of the text's tokens are put through the model, and their keys and values must be the
 * same bits. So it does not matter where a model's file lies, how its weights are packed or on which backend it
 * runs, as long as it computes the same.
 */
import { ContextOverflowError, UsageError } from '../../errors.ts'
import { KEY_BLOCK } from '../../kernels/attention/layout.ts'
import type { DecodeEngine } from '../../model/engine.ts'
import { encodeState, type SavedState, sha256 } from './state-file.ts'

/** Tokens that a model is told by. */
const PROBE_TOKENS = 64

const NOTHING = {
  draws: { rows: [], each: [] },
  scores: { rows: [], targets: [], tokens: [] },
  vectors: [],
}

/**
 * What the cache has of some tokens. To be called while no pass runs.
 *
 * @param note anything of JSON, to be kept beside
 * @returns undefined while there is no room in the cache to tell the model by
 */
export async function saveState(
  engine: DecodeEngine,
  tokens: readonly number[],
  note?: unknown,
): Promise<Uint8Array | undefined> {
  return withProbe(engine, async (fingerprintOf) => {
    // Before the probe computes anything: that may take blocks of what is to be saved.
    const { length, bytes } = await engine.cache.copyOut(tokens)
    const { name: model, vocabSize } = engine.config
    return encodeState({
      model,
      vocabSize,
      content: engine.cache.content,
      fingerprint: await fingerprintOf(tokens.slice(0, length)),
      computed: length,
      note,
      tokens: Uint32Array.from(tokens),
      bytes,
    })
  })
}

/**
 * Takes a state in, so that whoever begins with its tokens goes on from there. To be called while no pass runs.
 *
 * @returns false while there is no room in the cache
 * @throws UsageError if it is of another model, or of this one loaded in another way; ContextOverflowError if it
 *   never fits
 */
export async function takeState(engine: DecodeEngine, state: SavedState): Promise<boolean> {
  const { cache, config } = engine
  const { computed, bytes } = state
  const isOfShape =
    state.vocabSize === config.vocabSize && sameContent(state.content, cache.content)
  if (!isOfShape) {
    const [own, other] = [cache.content, state.content].map(({ type }) => String(type).slice(0, 20))
    throw new UsageError(
      `Expected a state of ${config.name} with a cache of ${own}, got one of ` +
        `${state.model.slice(0, 80)} with ${other}.`,
    )
  }
  if (computed === 0) return true
  if (computed > cache.capacity) {
    throw new ContextOverflowError(
      `Expected a state of at most ${cache.capacity} positions, which the context and the memory for caches ` +
        `have room for, got ${computed}.`,
      { needed: computed, available: cache.capacity },
    )
  }
  if (computed % KEY_BLOCK !== 0 || bytes.length !== cache.byteLengthOf(computed)) {
    throw new UsageError(
      `Expected ${cache.byteLengthOf(computed)} bytes for the ${computed} computed tokens of a state, got ` +
        `${bytes.length}.`,
    )
  }
  const tokens = Array.from(state.tokens.subarray(0, computed))
  const fingerprint = await withProbe(engine, (fingerprintOf) => fingerprintOf(tokens))
  if (fingerprint === undefined) return false
  if (fingerprint !== state.fingerprint) {
    throw new UsageError(
      `Expected a state of this ${config.name}, got one of a model that computes other numbers: another version ` +
        'of its weights, another head or precision of products, or a GPU in place of a processor.',
    )
  }
  return cache.copyIn(tokens, bytes)
}

/** Fields in any order, as JSON may have them. */
function sameContent(a: object, b: object): boolean {
  const text = (value: object) => JSON.stringify(Object.entries(value).sort())
  return text(a) === text(b)
}

/**
 * With room in the cache to tell the model by.
 *
 * @param work is given what makes the fingerprint, once: of the keys and values that the model computes for some of
 *   the tokens
 * @returns undefined while there is no room
 */
async function withProbe<T>(
  engine: DecodeEngine,
  work: (fingerprintOf: (tokens: readonly number[]) => Promise<string>) => Promise<T>,
): Promise<T | undefined> {
  const { cache, maxRows } = engine
  const length = Math.min(PROBE_TOKENS, cache.capacity - (cache.capacity % KEY_BLOCK))
  // Nothing that is computed may come from the cache.
  const opened = cache.open([], length)
  if (opened === undefined) return undefined
  const { slot } = opened
  const fingerprintOf = async (tokens: readonly number[]): Promise<string> => {
    const known = [...new Set(tokens.length > 0 ? tokens : [0])]
    const probe = Array.from({ length }, (_, i) => known[i % known.length])
    for (let computed = 0; computed < length; computed += maxRows) {
      const rows = probe.slice(computed, computed + maxRows)
      const positions = rows.map((_, i) => computed + i)
      await engine.step({ tokens: rows, slots: rows.map(() => slot), positions }, NOTHING)
    }
    const { bytes } = await cache.copyOf(slot)
    return Array.from(await sha256(bytes), (byte) => byte.toString(16).padStart(2, '0')).join('')
  }
  try {
    return await work(fingerprintOf)
  } finally {
    cache.close(slot, [])
  }
}
