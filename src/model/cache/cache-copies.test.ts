/** Keys and values that leave a cache and come into another one, of another process or backend: the same bits. */
import { afterAll, describe, expect, test } from 'vitest'
import { testBackends } from '../../../test/support/backends.ts'
import { smallModel } from '../../../test/support/small-model.ts'
import type { Backend } from '../../backends/backend.ts'
import { CACHE_TYPES } from '../../kernels/storage.ts'
import { Seeded } from '../../kernels/testing/conformance-cases.ts'
import type { ModelConfig } from '../config/config.ts'
import { readConfig } from '../config/read-config.ts'
import { Decoder } from '../decoder.ts'
import type { DecoderOptions } from '../decoder-options.ts'
import { passesOf } from '../pass-rows.ts'
import { loadWeights } from '../weights/load-weights.ts'

const file = smallModel()
const GLOBAL: ModelConfig = { ...readConfig(file), contextLength: 1024 }
const WINDOWED: ModelConfig = {
  ...GLOBAL,
  localAttention: { layers: [0], window: 300, ropeTheta: 20_000 },
}
const seeded = new Seeded(7)
const TEXT = Array.from({ length: 640 }, () => seeded.below(GLOBAL.vocabSize))

const backends = await Promise.all(
  ['native', 'wasm'].map(async (name) => {
    const found = testBackends().find(({ title, open }) => title.startsWith(name) && open)
    return { title: found?.title ?? name, backend: await found?.open?.() }
  }),
)

afterAll(() => {
  for (const { backend } of backends) backend?.dispose()
})

async function decoderOn(backend: Backend, config: ModelConfig, options: DecoderOptions) {
  return new Decoder(backend, config, await loadWeights(backend, file, config), options)
}

/** Opens, computes and closes. @returns how much was there, and the logits of the last token */
async function run(decoder: Decoder, tokens: readonly number[]) {
  const { slot, cached } = decoder.cache.open(tokens, tokens.length) ?? { slot: -1, cached: -1 }
  let logits = new Float32Array(0)
  for (const rows of passesOf(decoder.maxRows, slot, tokens, cached, true)) {
    logits = (await decoder.forward(rows)).slice()
  }
  decoder.cache.close(slot, tokens)
  return { cached, logits }
}

const cases = backends.flatMap(({ title, backend }, from) =>
  CACHE_TYPES.flatMap((cacheType) =>
    [GLOBAL, WINDOWED].map((config) => {
      const to = backends[(from + 1) % backends.length]
      const layers = config === WINDOWED ? 'with a window' : 'that see everything'
      const name = `${cacheType}, layers ${layers}, ${title} to ${to.title}`
      return { name, backend, other: to.backend, cacheType, config }
    }),
  ),
)

describe.each(cases)('$name', ({ backend, other, cacheType, config }) => {
  const isThere = backend !== undefined && other !== undefined
  test.skipIf(!isThere)('goes on with the bits of the one who went on', async () => {
    if (backend === undefined || other === undefined) return
    const whole = await decoderOn(backend, config, { cacheType })
    const known = TEXT.slice(0, 600)
    await run(whole, known)
    const { length, bytes } = await whole.cache.copyOut(known)
    // What is behind the last sixteen positions together is computed again.
    expect(length).toBe(592)
    expect(bytes).toHaveLength(whole.cache.byteLengthOf(length))
    const { logits: expected } = await run(whole, TEXT)
    whole.dispose()

    const later = await decoderOn(other, config, { cacheType })
    // Memory that others have used, so that nothing is zero by chance.
    await run(later, [...TEXT].reverse())
    later.cache.forget()
    expect(await later.cache.copyIn(known.slice(0, length), bytes)).toBe(true)
    const again = await later.cache.copyOut(known)
    expect(again).toEqual({ length, bytes })
    const { cached, logits } = await run(later, TEXT)
    expect(cached).toBe(length)
    expect(logits).toEqual(expected)
    later.dispose()
  })
})
