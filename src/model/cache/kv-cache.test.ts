/** One cache for all sequences on backends: where blocks lie, and who computed them, changes no bit. */

import { afterAll, describe, expect, test } from 'vitest'
import { testBackends } from '../../../test/support/backends.ts'
import { sequencesOf } from '../../../test/support/sequences.ts'
import { smallModel } from '../../../test/support/small-model.ts'
import type { Backend } from '../../backends/backend.ts'
import { createReferenceBackend } from '../../backends/reference/index.ts'
import { BackendError, ContextOverflowError } from '../../errors.ts'
import { CACHE_TYPES } from '../../kernels/storage.ts'
import { Seeded } from '../../kernels/testing/conformance-cases.ts'
import type { ModelConfig } from '../config/config.ts'
import { readConfig } from '../config/read-config.ts'
import { Decoder } from '../decoder.ts'
import type { DecoderOptions } from '../decoder-options.ts'
import { PassRows, passesOf } from '../pass-rows.ts'
import { loadWeights } from '../weights/load-weights.ts'

const file = smallModel()
const GLOBAL: ModelConfig = { ...readConfig(file), contextLength: 2048 }
/** The first of two layers sees only the last positions. */
const WINDOWED: ModelConfig = {
  ...GLOBAL,
  localAttention: { layers: [0], window: 300, ropeTheta: 20_000 },
}

/** One whose memory takes no room until it is used, and one whose does; kernels have tests of their own. */
const backends = await Promise.all(
  ['native', 'wasm'].map(async (name) => {
    const found = testBackends().find(({ title, open }) => title.startsWith(name) && open)
    return { title: found?.title ?? name, backend: await found?.open?.() }
  }),
)

afterAll(() => {
  for (const { backend } of backends) backend?.dispose()
})

async function decoderOn(
  backend: Backend,
  config: ModelConfig,
  options: DecoderOptions = {},
): Promise<Decoder> {
  return new Decoder(backend, config, await loadWeights(backend, file, config), options)
}

function text(length: number, seed: number): number[] {
  const seeded = new Seeded(seed)
  return Array.from({ length }, () => seeded.below(GLOBAL.vocabSize))
}

/** Computes what of a sequence is not there. @returns logits of its last token */
async function compute(
  decoder: Decoder,
  slot: number,
  tokens: readonly number[],
  from: number,
): Promise<Float32Array> {
  let logits = new Float32Array(0)
  for (const rows of passesOf(decoder.maxRows, slot, tokens, from, true)) {
    logits = (await decoder.forward(rows)).slice()
  }
  return logits
}

function opened(decoder: Decoder, tokens: readonly number[], reserve = tokens.length) {
  const sequence = decoder.cache.open(tokens, reserve)
  if (sequence === undefined) throw new Error('There is no room.')
  return sequence
}

/** Opens, computes and closes. */
async function run(decoder: Decoder, tokens: readonly number[]) {
  const { slot, cached } = opened(decoder, tokens)
  const logits = await compute(decoder, slot, tokens, cached)
  decoder.cache.close(slot, tokens)
  return { cached, logits }
}

/** What a sequence alone gives, in a cache of its own. */
async function alone(decoder: Decoder, tokens: readonly number[]): Promise<Float32Array> {
  const cache = sequencesOf(decoder, { slots: 1, capacity: tokens.length })
  let logits = new Float32Array(0)
  for (const rows of passesOf(decoder.maxRows, 0, tokens, 0, true)) {
    logits = (await decoder.forward(cache.place(rows))).slice()
  }
  cache.close()
  return logits
}

describe.each(backends)('$title', ({ backend }) => {
  describe.each([
    ['layers that see everything', GLOBAL],
    ['a layer with a window', WINDOWED],
  ] as const)('%s', (_, config) => {
    test.skipIf(backend === undefined)(
      'give the same logits in any blocks, shared or not, as in a cache of their own',
      async () => {
        if (backend === undefined) return
        const decoder = await decoderOn(backend, config)
        // Three grow side by side, so that their blocks lie between each other's.
        const texts = [text(700, 1), text(540, 2), [...text(520, 1), ...text(90, 3)]]
        const sequences = texts.map((tokens) => opened(decoder, [], tokens.length))
        const logits: Float32Array[] = []
        for (let from = 0; from < 700; from += 40) {
          const rows = new PassRows(decoder.maxRows)
          const wanted: number[] = []
          for (const [i, tokens] of texts.entries()) {
            const end = Math.min(from + 40, tokens.length)
            for (let at = from; at < end; at++) rows.add(sequences[i].slot, at, tokens[at])
            if (from >= end || end < tokens.length) continue
            rows.want()
            wanted.push(i)
          }
          const got = await decoder.forward(rows)
          for (const [k, i] of wanted.entries()) {
            logits[i] = got.slice(k * config.vocabSize, (k + 1) * config.vocabSize)
          }
        }
        for (const [i, { slot }] of sequences.entries()) decoder.cache.close(slot, texts[i])
        const others = [
          { tokens: texts[0], cached: 699 },
          { tokens: texts[2], cached: texts[2].length - 1 },
          { tokens: [...texts[0].slice(0, 650), 1, 2, 3], cached: 650 },
          { tokens: [...texts[1], ...text(600, 4)], cached: 540 },
        ]
        for (const [i, tokens] of texts.entries())
          expect(logits[i]).toEqual(await alone(decoder, tokens))
        for (const { tokens, cached } of others) {
          const got = await run(decoder, tokens)
          expect(got.cached).toBe(cached)
          expect(got.logits).toEqual(await alone(decoder, tokens))
        }
        // Back into what is shared.
        const { slot } = opened(decoder, texts[0])
        const back = config === WINDOWED ? 650 : 300
        const tokens = [...texts[0].slice(0, back), ...text(40, 9)]
        expect(await compute(decoder, slot, tokens, back)).toEqual(await alone(decoder, tokens))
        decoder.dispose()
      },
    )

    test.skipIf(backend === undefined)('go on several ways from one beginning', async () => {
      if (backend === undefined) return
      const decoder = await decoderOn(backend, config)
      const prompt = text(400, 5)
      const first = opened(decoder, prompt, 700)
      await compute(decoder, first.slot, prompt, 0)
      const slots = [1, 2].map(() => decoder.cache.fork(first.slot, prompt.length, 700) ?? -1)
      for (const [i, slot] of [first.slot, ...slots].entries()) {
        const tokens = [...prompt, ...text(200, 6 + i)]
        expect(await compute(decoder, slot, tokens, prompt.length)).toEqual(
          await alone(decoder, tokens),
        )
        decoder.cache.close(slot, tokens)
      }
      decoder.dispose()
    })
  })
})

describe('memory', () => {
  // One that takes room at once.
  const reference = backends[1].backend ?? createReferenceBackend()

  test.each(CACHE_TYPES)('of %s grows under what is in it', async (cacheType) => {
    const decoder = await decoderOn(reference, GLOBAL, { cacheType })
    const tokens = text(300, 1)
    const first = opened(decoder, tokens, 400)
    await compute(decoder, first.slot, tokens, 0)
    const before = decoder.cache.byteLength
    // More blocks than there are at first, and more positions of a sequence.
    const long = text(1030, 2)
    const second = opened(decoder, long, 2048)
    await compute(decoder, second.slot, long, 0)
    const other = opened(decoder, text(600, 3))
    await compute(decoder, other.slot, text(600, 3), 0)
    expect(decoder.cache.byteLength).toBeGreaterThan(before)
    const more = [...tokens, 4]
    expect(await compute(decoder, first.slot, more, 300)).toEqual(await alone(decoder, more))
    decoder.dispose()
  })

  test('of 200 chats of 300 tokens is that of 200 times 512 positions', async () => {
    const decoder = await decoderOn(reference, GLOBAL, {
      cacheMemory: 200 * 512 * (await decoderOn(reference, GLOBAL)).cacheBytesPerToken * 1.1,
    })
    const { cache } = decoder
    for (let chat = 0; chat < 200; chat++) expect(cache.open(text(280, chat), 300)).toBeDefined()
    const { free } = cache.stats
    expect(free).toBe(440)
    decoder.dispose()
  })

  test('is no more than it may be, and holds one sequence as long as the context if unset', async () => {
    const bytes = 10 * 256 * (await decoderOn(reference, GLOBAL)).cacheBytesPerToken
    const decoder = await decoderOn(reference, GLOBAL, { cacheMemory: bytes })
    expect(decoder.cache.capacity).toBe(2048)
    for (let seed = 0; seed < 6; seed++) await run(decoder, text(600, seed))
    expect(decoder.cache.byteLength).toBeLessThanOrEqual(bytes)
    expect(decoder.cache.stats.evicted).toBeGreaterThan(6)
    const small = await decoderOn(reference, GLOBAL, { cacheMemory: bytes / 5 })
    expect(small.cache.capacity).toBe(512)
    expect(() => small.cache.open([], 513)).toThrow(ContextOverflowError)
    const unset = await decoderOn(reference, { ...GLOBAL, contextLength: 2 ** 24 })
    expect(unset.cache.capacity).toBe(2 ** 24)
    for (const { dispose } of [decoder, small, unset].map((own) => ({
      dispose: () => own.dispose(),
    })))
      dispose()
  })

  test('cannot be more than the machine has, nor more blocks than can be counted', async () => {
    const huge = { cacheMemory: 2 ** 60 }
    const unknown = await decoderOn(reference, GLOBAL, huge)
    expect(unknown.cache.capacity).toBe(2048)
    unknown.dispose()
    const lazy = Object.defineProperty(createReferenceBackend(), 'commitsOnUse', { value: true })
    const known = await decoderOn(lazy, GLOBAL, { ...huge, machineMemory: 2 ** 33 })
    expect(() => known.cache).toThrow(/at most what this machine has, 8192 MiB, got 1099511627776/)
    known.dispose()
  })

  test('that there is not leaves the cache as it was', async () => {
    const decoder = await decoderOn(reference, GLOBAL)
    const tokens = text(300, 1)
    const { slot } = opened(decoder, tokens, 400)
    await compute(decoder, slot, tokens, 0)
    const allocate = reference.allocate.bind(reference)
    reference.allocate = () => {
      throw new BackendError('There is no room.')
    }
    const long = text(1100, 2)
    const { slot: other } = opened(decoder, long)
    await expect(compute(decoder, other, long, 0)).rejects.toThrow(BackendError)
    reference.allocate = allocate
    decoder.cache.close(other, long)
    const more = [...tokens, 4]
    expect(await compute(decoder, slot, more, 300)).toEqual(await alone(decoder, more))
    decoder.dispose()
  })
})
